//! What the tables and arrays of a TOML file mean.

/// What a table or an array holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Names and versions for Cargo.
    Cargo,
    /// Names and coordinates of a Gradle version catalogue.
    Catalog,
    /// A stanza of a lock file.
    Locked,
    /// Plugins of a Gradle version catalogue.
    Plugins,
    /// Names and versions for Poetry, Pipenv and their kin.
    Poetry,
    /// Strings by PEP 508.
    Requirements,
    /// Where uv takes a package from.
    Sources,
    /// Versions that others refer to.
    Versions,
}

impl Role {
    pub(super) const fn is_list(self) -> bool {
        matches!(self, Self::Requirements)
    }

    /// Whether an entry may be a table of its own.
    pub(super) const fn has_tables(self) -> bool {
        matches!(self, Self::Cargo | Self::Catalog | Self::Poetry | Self::Sources)
    }
}

/// What a path leads to.
pub(super) fn role(path: &[String]) -> Option<Role> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["project", "dependencies"]
        | ["project", "optional-dependencies", _]
        | ["dependency-groups", _]
        | ["build-system", "requires"]
        | [
            "tool",
            "uv",
            "dev-dependencies" | "constraint-dependencies" | "override-dependencies" | "build-constraint-dependencies",
        ]
        | ["tool", "pdm", "dev-dependencies", _]
        | ["tool", "hatch", "envs", _, "dependencies" | "extra-dependencies"]
        | ["tool", "rye", "dev-dependencies"]
        | ["tool", "cibuildwheel", "test-requires"] => Some(Role::Requirements),
        ["tool", "poetry" | "pixi", "dependencies" | "dev-dependencies" | "pypi-dependencies"]
        | ["tool", "poetry", "group", _, "dependencies"]
        | ["packages" | "dev-packages"] => Some(Role::Poetry),
        ["tool", "uv", "sources"] => Some(Role::Sources),
        ["libraries"] => Some(Role::Catalog),
        ["plugins"] => Some(Role::Plugins),
        ["versions"] => Some(Role::Versions),
        ["tool", ..] => None,
        ["package" | "project", ..] => None,
        [
            ..,
            "dependencies" | "dev-dependencies" | "build-dependencies" | "dev_dependencies" | "build_dependencies",
        ] => Some(Role::Cargo),
        ["patch", _] => Some(Role::Cargo),
        _ => None,
    }
}
