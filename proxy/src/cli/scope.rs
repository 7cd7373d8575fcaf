//! The arguments that say how far a right reaches, as `keys add` and `grants delegate` take them.

use std::time::Duration;

use clap::Args;
use portcullis_policies::glob::Glob;
use portcullis_policies::routes::builtin;
use portcullis_policies::{Rate, RouteClass, Scope, UpstreamKind, nearest};

/// How far a right reaches. What is not said is not bounded.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ScopeArgs {
    /// Models, as globs with commas between them: `llama3*,qwen2.5:7b`.
    #[arg(long, value_delimiter = ',', value_name = "GLOBS")]
    models: Vec<Glob>,
    /// Classes of routes, and globs of their names: `inference,read` or `openai.*`.
    #[arg(long, value_delimiter = ',', value_name = "ROUTES", value_parser = route)]
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

/// Reads a class of routes, or a glob that fits some route: a word that fits none would allow nothing.
fn route(text: &str) -> Result<String, String> {
    let kinds = [UpstreamKind::LlamaCpp, UpstreamKind::Ollama, UpstreamKind::OpenAi];
    let glob = Glob::new(text);
    let fits = |kind: &UpstreamKind| builtin(*kind).iter().any(|route| glob.matches(&route.name));
    let classes = RouteClass::ALL.map(RouteClass::as_str);
    if classes.contains(&text) || kinds.iter().any(fits) {
        return Ok(text.to_owned());
    }
    let near = nearest(text, classes).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    Err(format!("it is no class of routes ({}), and no route fits it{near}", classes.join(", ")))
}

/// How far a scope reaches, in a line.
pub(crate) fn words(scope: &Scope) -> String {
    let list = |words: Vec<&str>| if words.is_empty() { "all".to_owned() } else { words.join(",") };
    let classes = scope.classes.iter().map(|class| class.as_str());
    let routes = list(classes.chain(scope.routes.iter().map(Glob::as_str)).collect());
    let mut said = format!("routes {routes}  models {}", list(scope.models.iter().map(Glob::as_str).collect()));
    let numbers = [
        ("max-tokens", scope.max_tokens.map(|n| n.to_string())),
        ("max-context", scope.max_context.map(|n| n.to_string())),
        ("requests", scope.requests.map(|rate| rate.to_string())),
        ("tokens", scope.tokens.map(|rate| rate.to_string())),
        ("concurrent", scope.concurrent.map(|n| n.to_string())),
        ("budget", scope.budget.map(|n| n.to_string())),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            said.push_str(&format!("  {name} {number}"));
        }
    }
    said
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
