//! The arguments that say how far a right reaches, as `keys add` and `grants delegate` take them.

use std::time::Duration;

use clap::Args;
use portcullis_policies::glob::Glob;
use portcullis_policies::{Rate, RouteClass, Scope};

/// How far a right reaches. What is not said is not bounded.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ScopeArgs {
    /// Models, as globs with commas between them: `llama3*,qwen2.5:7b`.
    #[arg(long, value_delimiter = ',', value_name = "GLOBS")]
    models: Vec<Glob>,
    /// Classes of routes, and globs of their names: `inference,read` or `openai.*`.
    #[arg(long, value_delimiter = ',', value_name = "ROUTES")]
    routes: Vec<String>,
    /// Tokens of one answer at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_tokens: Option<u64>,
    /// Tokens of one context at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_context: Option<u64>,
    /// Requests in a span of time: `60/m`.
    #[arg(long, value_name = "RATE")]
    requests: Option<Rate>,
    /// Tokens in a span of time: `100000/h`.
    #[arg(long, value_name = "RATE")]
    tokens: Option<Rate>,
    /// Requests at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    concurrent: Option<u32>,
    /// Tokens in all, ever.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    budget: Option<u64>,
}

impl ScopeArgs {
    /// The scope that they mean.
    pub(crate) fn scope(&self) -> Scope {
        let class = |word: &String| RouteClass::ALL.into_iter().find(|class| class.as_str() == word);
        Scope {
            classes: self.routes.iter().filter_map(class).collect(),
            routes: self.routes.iter().filter(|word| class(word).is_none()).map(|word| Glob::new(word)).collect(),
            models: self.models.clone(),
            max_tokens: self.max_tokens,
            max_context: self.max_context,
            requests: self.requests,
            tokens: self.tokens,
            concurrent: self.concurrent,
            budget: self.budget,
            ..Scope::default()
        }
    }
}

/// Reads `15m`, `8h`, `30d`; at most ten years.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    crate::config::duration(text)
        .filter(|d| (1..=10 * 366 * 86_400).contains(&d.as_secs()))
        .ok_or_else(|| format!("`{text}` is not a duration, expected such as `15m`, `8h` or `30d`"))
}

/// The Unix second that lies so far ahead.
pub(crate) fn ends_after(ttl: Duration, now: i64) -> i64 {
    now.saturating_add(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX))
}

/// A Unix second as people read it.
pub(crate) fn shown(at: i64) -> String {
    jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |t| t.to_string())
}
