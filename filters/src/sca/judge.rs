//! Whether a dependency may come in, by what is known of it.

use std::sync::Arc;

use portcullis_dependencies::{Found, How, Remote};
use portcullis_osv::{Because, Ecosystem, Hit, Known, Nature, Package, Severity, Wanted, judge};
use portcullis_policies::DataLevel;

use super::dossier::{Advisories, Dossier, Standing, Unavailable};
use super::doubt::Doubt;
use super::settings::{Handling, ScaSettings};
use crate::exchange::Noted;
use crate::verdict::{Code, Refusal};

/// What is counted.
pub trait ScaObserver: Send + Sync + 'static {
    /// Something was found about a package of this ecosystem.
    fn found(&self, ecosystem: Ecosystem, severity: &'static str);
    /// A command installs what only its run will name, of whichever ecosystem.
    fn unnamed(&self);
}

/// Something that speaks against a dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The package.
    pub package: Package,
    /// Its name as it was written.
    pub written: String,
    /// Which versions of it are asked for.
    pub wanted: Wanted,
    /// What speaks against it.
    pub reason: Reason,
    /// Whether it may not come in.
    pub blocks: bool,
}

/// What speaks against a dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// An advisory.
    Advisory {
        /// Its identifier.
        id: Box<str>,
        /// What else it is called.
        aliases: Vec<Box<str>>,
        /// How bad it is.
        severity: Severity,
        /// What it tells of.
        nature: Nature,
        /// The first version that is mended.
        fixed: Option<Box<str>>,
        /// How the dependency comes to be affected.
        because: Because,
    },
    /// It comes from elsewhere than its registry.
    Remote,
    /// Its name looks like this one's, which is far better known.
    Resembles(Box<str>),
    /// Its registry has nothing of that name.
    Unknown,
    /// The name holds letters that no registry takes.
    Disguised,
}

impl Reason {
    /// The advisory's identifier, or a word for what else it is.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Advisory { id, .. } => id,
            Self::Disguised => Doubt::Disguised.id(),
            Self::Remote => Doubt::Remote.id(),
            Self::Resembles(_) => Doubt::Resembling.id(),
            Self::Unknown => Doubt::Unknown.id(),
        }
    }

    /// The word for how bad it is, in metrics.
    #[must_use]
    pub const fn severity(&self) -> &'static str {
        match self {
            Self::Advisory { nature: Nature::Malicious, .. } => "malicious",
            Self::Advisory { severity, .. } => severity.as_str(),
            Self::Disguised | Self::Remote | Self::Resembles(_) | Self::Unknown => "suspect",
        }
    }
}

/// Judges dependencies.
pub struct Judge {
    settings: ScaSettings,
    advisories: Arc<dyn Advisories>,
    observer: Arc<dyn ScaObserver>,
}

impl Judge {
    /// One that judges so, by what these know.
    #[must_use]
    pub fn new(settings: ScaSettings, advisories: Arc<dyn Advisories>, observer: Arc<dyn ScaObserver>) -> Self {
        Self { settings, advisories, observer }
    }

    /// What it is set to.
    #[must_use]
    pub fn settings(&self) -> &ScaSettings {
        &self.settings
    }

    /// Counts a command that installs what only its run will name.
    pub(super) fn count_unnamed(&self) {
        self.observer.unnamed();
    }

    /// Whom it asks.
    #[must_use]
    pub fn advisories(&self) -> &dyn Advisories {
        &*self.advisories
    }

    /// Judges what was found of one package; the worst comes first.
    #[must_use]
    pub fn weigh(&self, found: &Found, dossier: &Dossier) -> Vec<Finding> {
        let settings = &self.settings;
        let mut findings = Vec::new();
        let mut add = |reason: Reason, blocks: bool| {
            self.observer.found(found.package.ecosystem(), reason.severity());
            findings.push(Finding {
                package: found.package.clone(),
                written: found.written.clone(),
                wanted: found.wanted.clone(),
                reason,
                blocks,
            });
        };
        let known = Known { versions: &dossier.versions, established: dossier.standing == Standing::Established };
        // A module's name is a hint at a package: what is malicious counts, the rest is told.
        let hint = found.how == How::Import;
        // A word that may be what an option takes is no name of which there is anything to doubt.
        let perhaps = found.how == How::Perhaps;
        // What comes from elsewhere is not what the registry has under that name, but it may be.
        for hit in judge(&found.package, &found.wanted, &dossier.notices, known, settings.unpinned) {
            let blocks = self.blocks(&hit) && (!hint || hit.notice.nature == Nature::Malicious);
            add(reason(&hit), blocks);
        }
        let mut doubt = |reason: Reason, handling: Handling| {
            if handling != Handling::Off && !perhaps {
                add(reason, handling == Handling::Block && !hint);
            }
        };
        if !found.ascii {
            doubt(Reason::Disguised, settings.typosquat);
        }
        match &found.remote {
            None => {}
            // What lies there already was not brought in by the answer.
            Some(Remote::File(_)) => return findings,
            Some(_) => {
                doubt(Reason::Remote, settings.remote);
                return findings;
            }
        }
        match &dossier.standing {
            Standing::Established | Standing::Ordinary => {}
            Standing::Resembling(near) => doubt(Reason::Resembles(near.clone()), settings.typosquat),
            Standing::Unknown(near) => {
                doubt(Reason::Unknown, settings.unknown);
                if let Some(near) = near {
                    doubt(Reason::Resembles(near.clone()), settings.typosquat);
                }
            }
        }
        findings
    }

    fn blocks(&self, hit: &Hit<'_>) -> bool {
        match (hit.notice.nature, hit.notice.rating.severity) {
            (Nature::Malicious, _) => true,
            (Nature::Informational, _) => false,
            (Nature::Vulnerability, Severity::Unrated) => self.settings.unrated == Handling::Block,
            (Nature::Vulnerability, severity) => severity >= self.settings.block_at,
        }
    }
}

fn reason(hit: &Hit<'_>) -> Reason {
    Reason::Advisory {
        id: hit.notice.id.clone(),
        aliases: hit.notice.aliases.clone(),
        severity: hit.notice.rating.severity,
        nature: hit.notice.nature,
        fixed: hit.fixed.clone(),
        because: hit.because.clone(),
    }
}

impl Finding {
    /// What is kept of it for the record. The log has its identifier alone.
    pub(super) fn noted(&self) -> Noted {
        Noted {
            filter: "sca",
            rule: self.reason.id().into(),
            code: self.code(),
            level: DataLevel::L0,
            action: if self.blocks { "block" } else { "flag" },
            fingerprint: String::new(),
            about: Some(self.sentence().into()),
        }
    }

    fn code(&self) -> Code {
        match &self.reason {
            Reason::Advisory { nature: Nature::Malicious, .. } => Code::ScaMalicious,
            _ => Code::ScaVulnerable,
        }
    }

    /// What the caller is told: the package, the version, the advisory, how bad it is, and where it is mended.
    #[must_use]
    pub fn sentence(&self) -> String {
        let name = shown(&self.written, 128);
        let package = match &self.wanted {
            Wanted::Any => format!("`{name}`"),
            Wanted::Exact(version) => format!("`{name}` {}", shown(version, 64)),
            Wanted::Range(range) => format!("`{name}` ({})", shown(range, 64)),
        };
        let ecosystem = self.package.ecosystem();
        match &self.reason {
            Reason::Advisory { id, aliases, severity, nature, fixed, because } => {
                let also = aliases.iter().find(|alias| alias.starts_with("CVE-")).filter(|alias| *alias != id);
                let id = also.map_or_else(|| id.to_string(), |cve| format!("{id}, {cve}"));
                let what = match (nature, because) {
                    (Nature::Malicious, _) => "is malicious",
                    (Nature::Informational, _) => "is not looked after",
                    (_, Because::Unreadable) => "cannot be told from a vulnerable version",
                    (_, Because::Possible) => "may be vulnerable",
                    _ => "is vulnerable",
                };
                let rated = if *nature == Nature::Malicious { String::new() } else { format!(", severity {severity}") };
                let cure = match (nature, fixed) {
                    (Nature::Malicious, _) => String::new(),
                    (_, Some(fixed)) => format!("; mended in {}", shown(fixed, 64)),
                    (_, None) => "; no version is known to be mended".to_owned(),
                };
                format!("{package} of {ecosystem} {what} ({id}{rated}){cure}")
            }
            Reason::Disguised => format!("{package} of {ecosystem} has a name with letters that look like others"),
            Reason::Remote => format!("{package} comes from elsewhere than {ecosystem}"),
            Reason::Resembles(near) => format!("{package} of {ecosystem} has a name that looks like `{near}`"),
            Reason::Unknown => format!("{package} is not known to {ecosystem}"),
        }
    }

    /// The refusal of an answer that brings it in; others that speak against it are counted.
    pub(super) fn refuse(&self, others: usize) -> Refusal {
        let more = if others == 0 { String::new() } else { format!(", and {others} more") };
        Refusal::new(
            "sca",
            self.code(),
            format!("the answer brings in what may not come in: {}{more}", self.sentence()),
        )
        .with_detail(self.reason.id())
    }
}

/// A text of the model's, so that it can stand in a message.
fn shown(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

/// The refusal of an answer whose dependencies cannot be looked up.
pub(super) fn unavailable(why: &Unavailable) -> Refusal {
    let message = match why {
        Unavailable::Away(_) => {
            "the answer brings in dependencies, and what is known of them cannot be looked up at the moment".to_owned()
        }
        Unavailable::Ecosystem(ecosystem) => format!(
            "the answer brings in packages of {ecosystem}, and this gate has no advisories of {ecosystem}; its operator \
             can bring some in"
        ),
        Unavailable::Language => {
            "the answer declares dependencies of a language of which there are no advisories, and nobody can look them up"
                .to_owned()
        }
    };
    Refusal::new("sca", Code::ScaUnavailable, message).with_detail(why.to_string())
}
