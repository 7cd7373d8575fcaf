//! What the beginning of a line says of it, where no block says that it is code.

/// Beginnings of lines that are code, manifest or list, wherever they stand. Prose does not begin with them.
const CODE: &[&str] = &[
    "# /// ",
    "--extra-index-url",
    "--find-links",
    "--index-url",
    "-c ",
    "-e ",
    "-r ",
    "<DotNetCliToolReference",
    "<GlobalPackageReference",
    "<ItemGroup",
    "<PackageReference",
    "<PackageVersion",
    "<Project",
    "<PropertyGroup",
    "<dependencies",
    "<dependency",
    "<extension",
    "<package ",
    "<parent",
    "<plugin",
    "<project",
    "<properties",
    "[[package]]",
    "[build-dependencies",
    "[build-system",
    "[dependencies",
    "[dependency-groups",
    "[dev-dependencies",
    "[dev-packages",
    "[libraries",
    "[packages",
    "[project",
    "[target.",
    "[tool.",
    "[versions",
    "[workspace.dependencies",
    "\"dependencies\"",
    "annotationProcessor",
    "api ",
    "api(",
    "classpath",
    "compile ",
    "compileOnly",
    "const ",
    "debugImplementation",
    "dependencies {",
    "dependencies:",
    "echo ",
    "export ",
    "extern crate ",
    "from ",
    "gem '",
    "gem \"",
    "id '",
    "id(",
    "implementation",
    "import ",
    "import(",
    "install_requires",
    "kapt",
    "ksp",
    "let ",
    "lockfileVersion",
    "module ",
    "packages:",
    "pip:",
    "plugins {",
    "printf ",
    "project.dependencies",
    "project.optional-dependencies",
    "pub use ",
    "releaseImplementation",
    "replace ",
    "require ",
    "require '",
    "require(",
    "requires ",
    "runtimeOnly",
    "setup(",
    "specs:",
    "testImplementation",
    "testRuntimeOnly",
    "use ",
    "var ",
];

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begins {
    Code,
    Fence,
    /// More of it has to be known.
    Open,
    Prose,
}

/// Looks at the content of a line as far as it came; `whole` says that no more comes.
pub(crate) fn begins(line: &str, whole: bool) -> Begins {
    if line.starts_with("```") || line.starts_with("~~~") {
        return Begins::Fence;
    }
    let open = |begin: &str| !whole && begin.len() > line.len() && begin.starts_with(line);
    if CODE.iter().any(|begin| line.starts_with(begin)) {
        Begins::Code
    } else if (line.is_empty() && !whole) || open("```") || open("~~~") || CODE.iter().any(|begin| open(begin)) {
        Begins::Open
    } else {
        Begins::Prose
    }
}
