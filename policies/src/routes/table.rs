//! Finding the route of a method and a path.

use std::collections::HashMap;
use std::sync::Arc;

use super::Route;

/// The routes of one kind of server. An empty table lets nothing through.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    exact: HashMap<Arc<str>, Vec<Arc<Route>>>,
    patterns: Vec<Arc<Route>>,
}

/// What a table says of a method and a path.
#[derive(Clone, Copy, Debug)]
pub enum Found<'t> {
    /// This route.
    Route(&'t Arc<Route>),
    /// Nothing.
    Unknown,
    /// The path is known, but not with this method: refused just as well.
    WrongMethod,
}

impl RouteTable {
    pub(super) fn new(routes: Vec<Arc<Route>>) -> Result<Self, String> {
        let mut table = Self::default();
        for route in routes {
            if route.path.contains('{') {
                table.patterns.push(route);
                continue;
            }
            let same = table.exact.entry(Arc::clone(&route.path)).or_default();
            if same.iter().any(|other| other.methods.iter().any(|m| route.methods.contains(m))) {
                return Err(format!("`{}` stands twice", route.path));
            }
            same.push(route);
        }
        Ok(table)
    }

    /// The route of a method and a normalised path: exact text, method-aware.
    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Found<'_> {
        let takes = |route: &&Arc<Route>| route.methods.iter().any(|m| **m == *method);
        if let Some(routes) = self.exact.get(path) {
            return routes.iter().find(takes).map_or(Found::WrongMethod, Found::Route);
        }
        let mut known = self.patterns.iter().filter(|route| route.parameters(path).is_some()).peekable();
        if known.peek().is_none() {
            return Found::Unknown;
        }
        known.find(takes).map_or(Found::WrongMethod, Found::Route)
    }

    /// Every route, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.exact.values().flatten().chain(&self.patterns)
    }
}

impl Route {
    /// What the named segments of the path hold, when the path is one of this route's.
    #[must_use]
    pub fn parameters<'p>(&self, path: &'p str) -> Option<Vec<(&str, &'p str)>> {
        let mut found = Vec::new();
        let (mut wanted, mut given) = (self.path.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return Some(found),
                (Some(want), Some(give)) => match want.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
                    Some(name) if !give.is_empty() => found.push((name, give)),
                    None if want == give => {}
                    _ => return None,
                },
                _ => return None,
            }
        }
    }
}
