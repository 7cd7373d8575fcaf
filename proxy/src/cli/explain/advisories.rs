//! What the identifiers in an entry of the audit log stand for, where the database of advisories is at hand.

use portcullis_advisories::Database;
use portcullis_filters::Code;
use portcullis_filters::sca::Doubt;
use portcullis_osv::{Nature, Notice};
use portcullis_policies::DataLevel;

use crate::config::Config;
use crate::explain::FoundRule;

/// As many packages of one advisory are named; some name hundreds.
const MOST: usize = 3;

/// What the entry tells of dependencies: identifiers with commas between. Where nothing refused the answer, all of it was
/// only told; of one that was refused, or would have been, the log does not say which did.
pub(super) fn named(config: &Config, ids: &str, told: bool) -> Vec<FoundRule> {
    let ids = ids.split(',').filter(|id| !id.is_empty());
    let database = Database::open(&config.filters.sca.database).ok();
    ids.map(|id| {
        let action = if told { "flag" } else { "" }.to_owned();
        if let Some(doubt) = Doubt::of(id) {
            return FoundRule {
                rule: id.to_owned(),
                code: doubt.code().as_str().to_owned(),
                level: DataLevel::L0.as_str().to_owned(),
                action,
                fingerprint: String::new(),
                about: Some(doubt.sentence().to_owned()),
            };
        }
        let notices = database.as_ref().and_then(|database| database.advisory(id).ok()).unwrap_or_default();
        let malicious = notices.iter().any(|notice| notice.nature == Nature::Malicious);
        FoundRule {
            rule: id.to_owned(),
            code: if malicious { Code::ScaMalicious } else { Code::ScaVulnerable }.as_str().to_owned(),
            level: DataLevel::L0.as_str().to_owned(),
            action,
            fingerprint: String::new(),
            about: about(&notices),
        }
    })
    .collect()
}

/// What an advisory says of its packages. Which version was asked for the log does not tell.
fn about(notices: &[Notice]) -> Option<String> {
    let mut said: Vec<_> = notices.iter().take(MOST).map(of_package).collect();
    if let Some(more) = notices.len().checked_sub(MOST).filter(|more| *more > 0) {
        said.push(format!("and {more} more"));
    }
    (!said.is_empty()).then(|| said.join("; "))
}

fn of_package(notice: &Notice) -> String {
    let package = format!("`{}` of {}", notice.package.name(), notice.package.ecosystem());
    if notice.nature == Nature::Malicious {
        return format!("{package} is malicious");
    }
    let fixed: Vec<_> = notice.spans.iter().filter_map(|span| span.fixed()).take(MOST).collect();
    let mended = match fixed.as_slice() {
        [] if notice.mended => "there is a version that is mended".to_owned(),
        [] => "no version is known to be mended".to_owned(),
        fixed => format!("mended in {}", fixed.join(", ")),
    };
    format!("{package}, severity {}, {mended}", notice.rating.severity)
}
