//! What the firewall is set to, and the rule files that the config names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_filters::firewall::{FirewallSettings, InjectionSettings, RuleAction, Watchfulness};
use portcullis_firewall::{Rules, Selection, Source};
use portcullis_policies::glob::Glob;
use portcullis_policies::policy::{FirewallFloor, Handling};
use portcullis_policies::{DataLevel, Diagnostic, nearest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ConfigError;
use super::check::Check;
use super::written::ModeWord;

/// The word for the rules in the program.
const BUILTIN: &str = "builtin";
/// The most rule files, the most bytes of one, and the most rules of all of them: each is a label of metrics.
const MOST: (usize, u64, usize) = (64, 4 << 20, 1_000);
const KEY: &str = "filters.firewall.rules";
/// What helps where no rule has such a name.
const LISTED: &str = "`portcullis scan --list-rules --pii` names them all";

/// What must not leave or come in.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Firewall {
    /// `enforce`, `shadow` or `off`.
    pub(crate) mode: Option<ModeWord>,
    /// Findings of this level and above are refused, unless something else is said about their rule.
    /// Default: `L3`.
    pub(crate) block_at: Option<DataLevel>,
    /// Where the rules come from: `builtin`, and rule files in gitleaks' format, relative to this file; the last
    /// part of a path may be a pattern, such as `firewall/*.toml`. A later rule takes the place of an earlier one
    /// of the same name. Default: `[builtin]`.
    pub(crate) rules: Option<Vec<String>>,
    /// Rules that are not in force, by name.
    #[serde(default)]
    pub(crate) disable: Vec<String>,
    /// What is done about the findings of single rules, by name: `block`, `redact` or `flag`.
    #[serde(default)]
    pub(crate) actions: BTreeMap<String, RuleAction>,
    /// What is done about data on persons: `off`, `flag`, `redact` or `block`. Default: `off`.
    pub(crate) pii: Option<Handling>,
    /// Attempts to give the model other orders.
    #[serde(default)]
    pub(crate) injection: InjectionSettings,
    /// What is done about structural findings, such as absolute paths: `flag`, `block` or `off`. Default: by their
    /// level, L2, and `block_at`.
    pub(crate) structural: Option<Watchfulness>,
}

impl Firewall {
    /// Whether anything is said about it.
    pub(super) fn is_written(&self) -> bool {
        self.mode.is_some() || self.block_at.is_some() || self.rules.is_some() || self.pii.is_some()
    }
}

/// What the firewall is set to, with the rule files as they were read.
#[derive(Clone, Default)]
pub(crate) struct FirewallConfig {
    pub(crate) settings: FirewallSettings,
    /// Whether the rules in the program are in force.
    builtin: bool,
    files: Vec<RuleFile>,
    /// Where rule files are looked for: when one of these changes, there may be another file.
    folders: Vec<PathBuf>,
    /// The folder that paths count from.
    base: PathBuf,
    /// The config file, and where in it the rules, those that are not in force, and the actions stand.
    file: String,
    places: [(u64, u64); 3],
}

/// The keys whose places are kept: what is wrong with them shows when the rules are compiled.
const KEYS: [&str; 3] = [KEY, "filters.firewall.disable", "filters.firewall.actions"];

/// A rule file, as it was read.
#[derive(Clone, PartialEq, Eq)]
struct RuleFile {
    path: PathBuf,
    name: String,
    text: Arc<str>,
}

impl FirewallConfig {
    pub(super) fn check(check: &mut Check<'_>, w: &Firewall, floor: FirewallFloor) -> Self {
        let usual = FirewallSettings::default();
        let rules = w.rules.clone().unwrap_or(usual.rules);
        let mut config = Self { builtin: rules.iter().any(|rule| rule == BUILTIN), ..Self::default() };
        if rules.is_empty() {
            let message = "the list is empty, so nothing would be found, expected `[builtin]`".to_owned();
            check.wrong(KEY, message, Some("`mode: off` turns the filter off"));
        }
        for written in rules.iter().filter(|rule| *rule != BUILTIN) {
            config.find(check, written);
        }
        if !(1..=100).contains(&w.injection.threshold) {
            let message = format!("`{}` is not a score, expected 1 to 100", w.injection.threshold);
            check.wrong("filters.firewall.injection.threshold", message, Some("write `50`"));
        }
        if !config.builtin && !rules.is_empty() {
            check.warn(
                "`filters.firewall.rules` does not name `builtin`: the rules in the program are not in force"
                    .to_owned(),
            );
        }
        config.base = check.path("");
        config.file = check.file().to_owned();
        config.places = KEYS.map(|key| check.place(key));
        config.settings = FirewallSettings {
            block_at: w.block_at.unwrap_or(usual.block_at),
            rules,
            disable: w.disable.clone(),
            actions: w.actions.clone(),
            pii: w.pii.unwrap_or(usual.pii),
            injection: w.injection,
            structural: w.structural,
            floor,
        };
        config
    }

    /// As it is written in a config, with every default filled in. What the policy asks for at least is the policy's.
    pub(crate) fn to_json(&self) -> Value {
        let s = &self.settings;
        let rules = s.rules.iter().map(|rule| {
            if rule == BUILTIN { PathBuf::from(rule) } else { self.base.join(rule).components().collect() }
        });
        json!({
            "block_at": s.block_at, "rules": rules.collect::<Vec<PathBuf>>(), "disable": s.disable,
            "actions": s.actions, "pii": s.pii, "injection": s.injection, "structural": s.structural,
        })
    }

    /// Reads the rule files that a word of the config names.
    fn find(&mut self, check: &mut Check<'_>, written: &str) {
        let path = check.path(written);
        let paths = match path.file_name().and_then(|name| name.to_str()).map(Glob::new) {
            Some(pattern) if !pattern.is_literal() => {
                let folder = path.parent().unwrap_or(Path::new("")).to_owned();
                let found = matching(&folder, &pattern);
                self.folders.push(folder);
                if found.is_empty() {
                    let near = nearest(written, [BUILTIN]).map(|near| format!("did you mean `{near}`?"));
                    let message = format!("no file is named like `{}`", path.display());
                    check.wrong(KEY, message, near.as_deref());
                }
                found
            }
            _ => vec![path],
        };
        for path in
            paths.into_iter().filter(|path| !self.files.iter().any(|known| known.path == *path)).collect::<Vec<_>>()
        {
            if self.files.len() >= MOST.0 {
                return check.wrong(KEY, format!("there are more than {} rule files", MOST.0), None);
            }
            match read(&path) {
                Ok(text) => self.files.push(RuleFile { name: path.display().to_string(), path, text: text.into() }),
                Err(why) => {
                    let near = nearest(written, [BUILTIN]).map(|near| format!("did you mean `{near}`?"));
                    let hint = near.as_deref().unwrap_or("write `builtin`, or the path of a rule file");
                    check.wrong(KEY, format!("`{}` cannot be read: {why}", path.display()), Some(hint));
                }
            }
        }
    }

    /// Compiles the rules.
    ///
    /// # Errors
    /// Everything that is wrong with the rule files, and actions for rules that there are not.
    pub(crate) fn compile(&self) -> Result<Rules, ConfigError> {
        let (builtin, sources) = self.sources();
        let rules = Rules::load(builtin, &sources, &self.settings.selection())
            .map_err(|wrong| ConfigError(wrong.into_iter().map(shown).collect()))?;
        let file = self.file.as_str();
        let [of_rules, of_disable, of_actions] = self.places;
        let [rules_key, disable_key, actions_key] = KEYS;
        let at = |(line, column), key: &str, message| Diagnostic::at(file, line, column, key, message);
        let mut wrong = Vec::new();
        for id in self.settings.actions.keys().filter(|id| !rules.iter().any(|rule| *rule.id == ***id)) {
            let mistake = at(of_actions, actions_key, format!("no rule `{}` is in force", id.escape_debug()));
            wrong.push(match self.why_not(id, &rules) {
                Some(why) => mistake.with_hint(why),
                None => mistake.with_hint(LISTED),
            });
        }
        for id in &rules.report().unknown {
            let mistake = at(of_disable, disable_key, format!("there is no rule `{}`", id.escape_debug()));
            wrong.push(match nearest(id, rules.iter().map(|rule| &*rule.id)) {
                Some(near) => mistake.with_hint(format!("did you mean `{near}`?")),
                None => mistake.with_hint(LISTED),
            });
        }
        if rules.iter().count() > MOST.2 {
            wrong.push(at(of_rules, rules_key, format!("more than {} rules are in force", MOST.2)));
        }
        for rule in rules.iter().filter(|rule| !is_name(&rule.id)) {
            let message = format!(
                "`{}` is no name of a rule, expected 1 to 64 letters, digits, `-`, `_` or `.`",
                rule.id.escape_debug()
            );
            wrong.push(at(of_rules, rules_key, message));
        }
        // Made now, so that the first answer need not wait for it, and none is refused for a rule.
        if wrong.is_empty() && !rules.prepare_streams() {
            let message = "one of the rules cannot be followed in an answer that grows: give its expression bounds";
            wrong.push(at(of_rules, rules_key, message.to_owned()));
        }
        if wrong.is_empty() { Ok(rules) } else { Err(ConfigError(wrong)) }
    }

    /// Why a rule that `actions` names is not in force, or which one was meant.
    fn why_not(&self, id: &str, rules: &Rules) -> Option<String> {
        if self.settings.disable.iter().any(|disabled| disabled == id) {
            return Some("it stands in `disable`, too: take it out of one of them".to_owned());
        }
        let selection = self.settings.selection();
        if !selection.pii {
            let (builtin, sources) = self.sources();
            let with_pii = Rules::load(builtin, &sources, &Selection { pii: true, ..selection }).ok()?;
            if with_pii.iter().any(|rule| *rule.id == *id) {
                return Some("it is about data on persons: write `pii: flag`, `redact` or `block`, too".to_owned());
            }
            return nearest(id, with_pii.iter().map(|rule| &*rule.id)).map(|near| format!("did you mean `{near}`?"));
        }
        nearest(id, rules.iter().map(|rule| &*rule.id)).map(|near| format!("did you mean `{near}`?"))
    }

    /// Whether the rules in the program are in force, and the rule files.
    pub(crate) fn sources(&self) -> (bool, Vec<Source<'_>>) {
        (self.builtin, self.files.iter().map(|file| Source { name: &file.name, text: &file.text }).collect())
    }

    /// Whether another config has the same rules, so that they need not be compiled again.
    pub(crate) fn same_rules(&self, other: &Self) -> bool {
        self.builtin == other.builtin
            && self.files == other.files
            && self.settings.selection() == other.settings.selection()
            && self.settings.actions == other.settings.actions
    }

    /// The files and folders that the rules depend on.
    pub(crate) fn depends_on(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path()).chain(self.folders.iter().map(PathBuf::as_path))
    }
}

/// What a rule file's mistake looks like among those of the config.
fn shown(wrong: portcullis_firewall::Diagnostic) -> Diagnostic {
    let message = match &wrong.rule {
        Some(rule) => format!("rule `{}`: {}", rule.escape_debug(), wrong.message),
        None => wrong.message,
    };
    Diagnostic::at(&wrong.file, wrong.line as u64, 1, "", message)
}

fn matching(folder: &Path, pattern: &Glob) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let fits =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| pattern.matches(name));
    let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(|path| fits(path) && path.is_file()).collect();
    found.sort();
    found
}

fn read(path: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(MOST.1 + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if read as u64 > MOST.1 { Err(format!("it is larger than {} bytes", MOST.1)) } else { Ok(text) }
}

fn is_name(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;

    fn parse(text: &str, folder: &Path) -> Result<FirewallConfig, ConfigError> {
        let text = format!("{text}upstreams:\n  local: {{url: http://127.0.0.1:11434, kind: ollama}}\n");
        load::parse(&text, &folder.join("p.yaml")).map(|config| config.filters.firewall)
    }

    const RULE: &str = "[[rules]]\nid = \"ours\"\nregex = '''ours-[0-9]{8}'''\nkeywords = [\"ours-\"]\n";

    #[test]
    fn rule_files_are_found_and_compiled() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        for (name, text) in
            [("b.toml", RULE.replace("ours", "other")), ("a.toml", RULE.to_owned()), ("c.txt", String::new())]
        {
            std::fs::write(folder.path().join("rules").join(name), text).unwrap();
        }
        let text = "filters:\n  firewall:\n    rules: ['rules/*.toml']\n    actions: {ours: redact}\n    pii: off\n";
        let config = parse(text, folder.path()).unwrap();
        let rules = config.compile().unwrap();
        let ids: Vec<_> =
            rules.iter().map(|rule| rule.id.to_string()).filter(|id| id.ends_with('s') || id == "other").collect();
        assert!(ids.contains(&"ours".to_owned()) && ids.contains(&"other".to_owned()), "{ids:?}");
        assert!(config.depends_on().any(|path| path.ends_with("rules")));
        assert!(config.same_rules(&parse(text, folder.path()).unwrap()));
        std::fs::write(folder.path().join("rules/a.toml"), RULE.replace("{8}", "{9}")).unwrap();
        assert!(!config.same_rules(&parse(text, folder.path()).unwrap()));
    }

    #[test]
    fn rules_of_every_kind_can_be_disabled() {
        let folder = tempfile::tempdir().unwrap();
        let all = ["github-token", "pii-email", "structure-bidi", "injection-roles"];
        let text = format!("filters:\n  firewall: {{disable: [{}]}}\n", all.join(", "));
        let rules = parse(&text, folder.path()).unwrap().compile().unwrap();
        assert!(!rules.iter().any(|rule| all.contains(&&*rule.id)));
    }

    #[test]
    fn mistakes_say_where() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bad.toml"), format!("{RULE}\n[[rules]]\nid = \"two\"\nregex = '''a(b'''\n"))
            .unwrap();
        std::fs::write(folder.path().join("good.toml"), RULE).unwrap();
        std::fs::write(folder.path().join("name.toml"), RULE.replace("\"ours\"", "\"o u\"")).unwrap();
        for (text, words) in [
            ("{rules: [builtn]}", "did you mean `builtin`?"),
            ("{rules: [none.toml]}", "cannot be read"),
            ("{rules: ['none/*.toml']}", "no file is named like"),
            ("{rules: []}", "the list is empty"),
            ("{injection: {threshold: 0}}", "expected 1 to 100"),
            ("{injection: {treshold: 5}}", "did you mean `threshold`?"),
            ("{injection: {action: redact}}", "redact"),
            ("{structural: drop}", "drop"),
            ("{pii: maybe}", "maybe"),
            ("{actions: {ours: drop}}", "drop"),
            ("{rules: [bad.toml]}", "bad.toml:6:1: rule `two`: its `regex` does not compile"),
            ("{rules: [name.toml]}", "is no name of a rule"),
            ("{rules: [good.toml], actions: {our: block}}", "did you mean `ours`?"),
            ("{disable: [githb-token]}", "did you mean `github-token`?"),
            (
                "{disable: [nosuch]}",
                "p.yaml:2:14: filters.firewall.disable: there is no rule `nosuch` (`portcullis scan --list-rules --pii` names them all)",
            ),
            (
                "{actions: {pii-iban: redact}}",
                "p.yaml:2:14: filters.firewall.actions: no rule `pii-iban` is in force (it is about data on persons: write `pii: flag`, `redact` or `block`, too)",
            ),
            ("{actions: {jwt: redact}, disable: [jwt]}", "it stands in `disable`, too"),
            (
                "{injection: block}",
                "p.yaml:2:25: `block` stands where a map is expected (write `injection: {action: block}`)",
            ),
            (
                "{rules: acme.toml}",
                "p.yaml:2:21: `acme.toml` stands where a list is expected (write `rules: [builtin, acme.toml]`)",
            ),
            ("{actions: redact}", "write `actions: {RULE: redact}`"),
            ("{pii: off, pii: flag}", "p.yaml:2:24: the key `pii` stands twice (keep one of them)"),
            ("{block_at: L7}", "unknown variant `L7`, expected one of L0, L1, L2, L3, L4\n"),
            ("{rules: [good.toml], disable: [github-token]}", "there is no rule `github-token`"),
        ] {
            let said = match parse(&format!("filters:\n  firewall: {text}\n"), folder.path()) {
                Err(error) => error.to_string(),
                Ok(config) => config.compile().err().expect(text).to_string(),
            };
            assert!(format!("{said}\n").contains(words), "{text}: {said}");
        }
    }
}
