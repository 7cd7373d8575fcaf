//! The keys of a policy document.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use crate::class::RouteClass;
use crate::policy::FirewallFloor;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) version: Spanned<u32>,
    #[serde(default)]
    pub(super) groups: BTreeMap<String, Spanned<Vec<Spanned<String>>>>,
    pub(super) rules: Vec<WrittenRule>,
    #[serde(default)]
    pub(super) limits: BTreeMap<String, Spanned<WrittenLimit>>,
    #[serde(default)]
    pub(super) firewall: FirewallFloor,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRule {
    pub(super) name: Spanned<String>,
    pub(super) effect: Effect,
    pub(super) mode: Option<Mode>,
    pub(super) who: Spanned<Vec<Spanned<String>>>,
    pub(super) classes: Spanned<Vec<RouteClass>>,
    #[serde(default)]
    pub(super) routes: Vec<String>,
    pub(super) models: Option<Vec<String>>,
    pub(super) max_tokens: Option<Spanned<u64>>,
    pub(super) max_context: Option<Spanned<u64>>,
    pub(super) tools: Option<Spanned<WrittenTools>>,
    pub(super) when: Option<Spanned<WrittenWhen>>,
    pub(super) limits: Option<Spanned<WrittenRuleLimits>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    Enforce,
    Shadow,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenLimit {
    pub(super) max: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRuleLimits {
    pub(super) requests: Option<Spanned<String>>,
    pub(super) tokens: Option<Spanned<String>>,
    pub(super) concurrent: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenWhen {
    pub(super) from: Option<Spanned<String>>,
    pub(super) until: Option<Spanned<String>>,
    pub(super) hours: Option<Spanned<String>>,
    pub(super) days: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) timezone: Option<Spanned<String>>,
}

/// `deny`, or `{allow: [patterns]}`.
pub(super) enum WrittenTools {
    Allow(Vec<String>),
    Deny,
}

impl<'de> Deserialize<'de> for WrittenTools {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            allow: Vec<String>,
        }

        impl<'de> Visitor<'de> for Either {
            type Value = WrittenTools;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`deny` or `{allow: [patterns]}`")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<WrittenTools, E> {
                match word {
                    "deny" => Ok(WrittenTools::Deny),
                    other => Err(E::custom(format!("`{other}` is not `deny` or `{{allow: [patterns]}}`"))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WrittenTools, A::Error> {
                Table::deserialize(MapAccessDeserializer::new(map)).map(|table| WrittenTools::Allow(table.allow))
            }
        }

        from.deserialize_any(Either)
    }
}
