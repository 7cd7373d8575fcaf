//! A clean text costs no allocation, once the automata have seen texts like it.

use allocation_counter::measure;
use portcullis_firewall::{Direction, Finding, Origin, Rules, Scratch, Selection, Text};

const CLEAN: &str = r#"
//! Reads the configuration, and says what is wrong with it.
pub fn load(path: &Path, token: Option<&Token>) -> Result<Config, Error> {
    let text = fs::read_to_string(path).map_err(|error| Error::Read(path.into(), error))?;
    // The key of a section is its name; a password is never written here.
    let config: Config = toml::from_str(&text)?;
    for (key, value) in &config.auth { debug!(key, length = value.len(), "read"); }
    Ok(config)
}

Please explain what this function does, and why `token` is not used: is there an api that takes one?
Thank you. A secret is kept elsewhere; access = "none", see https://example.org/docs/access.html.
"#;

#[test]
fn a_clean_text_costs_no_allocation() {
    let rules = Rules::load(true, &[], &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    let long = CLEAN.repeat(8);
    let mut scratch = Scratch::default();
    let mut scan = |text: &str| {
        let texts = [Text { text, origin: Origin::User, flows: false }];
        let mut count = 0;
        let mut found = |_: Finding<'_>| count += 1;
        rules.scan(&texts, Direction::Request, &mut scratch, &mut found).unwrap();
        count
    };
    assert_eq!(scan(&long), 0, "clean");
    let cost = measure(|| {
        scan(&long);
    });
    assert_eq!(cost.count_total, 0, "{cost:?}");
}
