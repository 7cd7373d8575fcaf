//! Files that are private to their owner and are written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use zeroize::Zeroizing;

/// The largest private file that is read, in bytes.
pub const MAX_PRIVATE_FILE: u64 = 16 * 1024 * 1024;

/// The random bytes in the name of a file that is not whole yet, and what that name ends with.
const SALT: usize = 8;
const UNFINISHED: &str = ".new";

/// Why a private file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It exists, and must not be overwritten.
    #[error("`{0}` exists already and is never overwritten; move it away first")]
    Exists(PathBuf),
    /// The operating system said no.
    #[error("cannot {what} `{path}`: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What came of it.
        source: io::Error,
    },
    /// It is far larger than any file of its kind.
    #[error(
        "`{0}` is no private file of this program, expected a regular file of at most \
         {MAX_PRIVATE_FILE} bytes; look whether the path is the right one"
    )]
    NotAFile(PathBuf),
    /// Others can read it.
    #[error("`{path}` can be read by others (mode {mode:03o}), expected 600; mend it with `chmod 600 {path}`")]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError::Io { what, path: path.to_owned(), source }
}

/// Makes a directory, and those above it, that only its owner may enter (mode 0700), each on the medium with its name
/// before anything is made in it. One that exists stays as it is.
///
/// # Errors
/// When it cannot be made.
pub fn create_private_dir(path: &Path) -> Result<(), FileError> {
    let mut missing = Vec::new();
    for dir in path.ancestors() {
        if dir.as_os_str().is_empty() || dir.is_dir() {
            // Who made it may have been stopped before its name was on the medium.
            sync_parent(dir).or_else(unless_it_cannot_be)?;
            break;
        }
        missing.push(dir);
    }
    for dir in missing.into_iter().rev() {
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
            made => made.map_err(io_error("make the directory", dir))?,
        }
        sync_parent(dir).or_else(unless_it_cannot_be)?;
    }
    Ok(())
}

/// Writes a file of mode 0600 whole or not at all: beside its place first, then renamed into it, both
/// the file and the directory on disk before this returns. Replaces what was there.
///
/// # Errors
/// When any step fails; the old file is then untouched.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let beside = write_beside(path, bytes)?;
    fs::rename(&beside, path).map_err(|error| {
        let _ = fs::remove_file(&beside);
        io_error("put in place", path)(error)
    })?;
    sync_parent(path)
}

/// As [`write_private`], but refuses to replace anything: for keys.
///
/// # Errors
/// When the file exists, or any step fails.
pub fn write_new_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let beside = write_beside(path, bytes)?;
    // A link refuses what exists in one step, where looking first and renaming then would not.
    let linked = fs::hard_link(&beside, path);
    let _ = fs::remove_file(&beside);
    match linked {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(FileError::Exists(path.to_owned())),
        // Not every file system has links (FAT, some network and FUSE mounts).
        Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) => {
            create_new(path, bytes).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => FileError::Exists(path.to_owned()),
                _ => io_error("write", path)(error),
            })?;
            sync_parent(path)
        }
        Err(error) => Err(io_error("put in place", path)(error)),
    }
}

/// Removes what writers left in a directory that were killed before their file was whole: only regular files of the names
/// that [`write_private`] and [`write_new_private`] make beside their place. Nobody may write there meanwhile. Says how
/// many are gone; a directory that is not there has none.
///
/// # Errors
/// When the directory cannot be listed, or one of them not be removed.
pub fn remove_unfinished(dir: &Path) -> Result<usize, FileError> {
    let listed = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        listed => listed.map_err(io_error("list", dir))?,
    };
    let mut gone = 0;
    for entry in listed {
        let entry = entry.map_err(io_error("list", dir))?;
        let ours = entry.file_name().to_str().is_some_and(is_unfinished);
        if ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            fs::remove_file(entry.path()).map_err(io_error("remove", &entry.path()))?;
            gone += 1;
        }
    }
    Ok(gone)
}

/// Whether a file of this name is one that is not whole yet.
#[must_use]
pub fn is_unfinished(name: &str) -> bool {
    let salt =
        name.strip_suffix(UNFINISHED).and_then(|name| name.rsplit_once('.')).filter(|(name, _)| !name.is_empty());
    salt.is_some_and(|(_, salt)| salt.len() == 2 * SALT && salt.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// Refuses a file that others than its owner can read or write.
///
/// # Errors
/// When it is not there, or is too open.
pub fn check_private(path: &Path) -> Result<(), FileError> {
    check(path, &fs::metadata(path).map_err(io_error("look at", path))?)
}

/// Opens a regular file for reading. What is none, such as a pipe or a device, is refused, and nobody waits for its other
/// end. A symbolic link is followed: keys and certificates may be mounted behind one.
///
/// # Errors
/// What the system says; where it says nothing, the file is no regular one.
pub fn open_regular(path: &Path) -> io::Result<File> {
    regular(open_at_once(OpenOptions::new().read(true), OFlags::empty(), path)?)
}

/// Opens a regular file as these options say, to be written, and no other; see [`open_regular`]. A symbolic link in its
/// place is not followed, so that nothing is written, cut or made elsewhere; folders above it may be links. The options'
/// own flags are replaced.
///
/// # Errors
/// What the system says; where it says nothing, the file is a link or no regular one.
pub fn open_regular_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    match open_at_once(options, OFlags::NOFOLLOW, path) {
        // The system speaks of too many links.
        Err(_) if path.is_symlink() => Err(io::Error::other(
            "it is a symbolic link, expected a regular file: nothing is written through a link; look who made it, and \
             put the file itself in its place",
        )),
        // Nor is that of much use: a pipe that nobody reads.
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Err(not_regular()),
        opened => regular(opened?),
    }
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

fn not_regular() -> io::Error {
    io::Error::other("it is no regular file")
}

/// Opens what lies there without waiting for anybody who has its other end. For a regular file that changes nothing.
fn open_at_once(options: &mut OpenOptions, flags: OFlags, path: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NONBLOCK | flags).bits()).map_err(io::Error::other)?;
    options.custom_flags(flags).open(path)
}

/// Reads a private file as text, refusing one that others can read.
///
/// # Errors
/// When it cannot be read, is not UTF-8, larger than [`MAX_PRIVATE_FILE`], or too open.
pub fn read_private(path: &Path) -> Result<Zeroizing<String>, FileError> {
    // The file that is checked is the one that is read, whatever happens to the name meanwhile.
    let file = open_at_once(OpenOptions::new().read(true), OFlags::empty(), path).map_err(io_error("read", path))?;
    let meta = file.metadata().map_err(io_error("look at", path))?;
    check(path, &meta)?;
    if !meta.is_file() || meta.len() > MAX_PRIVATE_FILE {
        return Err(FileError::NotAFile(path.to_owned()));
    }
    // Room for all of it at once: a text that moves as it grows leaves copies of a secret behind.
    let room = usize::try_from(meta.len()).unwrap_or_default().saturating_add(1);
    let mut text = Zeroizing::new(String::with_capacity(room));
    file.take(MAX_PRIVATE_FILE).read_to_string(&mut text).map_err(io_error("read", path))?;
    Ok(text)
}

fn check(path: &Path, meta: &fs::Metadata) -> Result<(), FileError> {
    let mode = meta.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FileError::TooOpen { path: path.to_owned(), mode });
    }
    Ok(())
}

fn write_beside(path: &Path, bytes: &[u8]) -> Result<PathBuf, FileError> {
    let mut salt = [0u8; SALT];
    getrandom::fill(&mut salt).map_err(|e| FileError::Io {
        what: "get random bytes for",
        path: path.to_owned(),
        source: io::Error::other(e),
    })?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}{UNFINISHED}", data_encoding::HEXLOWER.encode(&salt)));
    let beside = path.with_file_name(name);
    match create_new(&beside, bytes) {
        Ok(()) => Ok(beside),
        Err(source) => {
            let _ = fs::remove_file(&beside);
            Err(io_error("write", path)(source))
        }
    }
}

fn create_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Passes over a folder that we may not open, or of a file system that syncs none: what is mounted in one must not keep
/// anybody from starting. What a disk says counts.
fn unless_it_cannot_be(error: FileError) -> Result<(), FileError> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    match &error {
        FileError::Io { source, .. }
            if matches!(source.kind(), InvalidInput | PermissionDenied | ReadOnlyFilesystem | Unsupported) =>
        {
            Ok(())
        }
        _ => Err(error),
    }
}

fn sync_parent(path: &Path) -> Result<(), FileError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        None if path.has_root() => path,
        _ => Path::new("."),
    };
    #[cfg(test)]
    tests::SYNCED.with_borrow_mut(|synced| synced.push(parent.to_owned()));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(io_error("sync the directory of", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::os::unix::fs::PermissionsExt as _;

    thread_local! {
        /// The directories that this test had synced.
        pub(super) static SYNCED: RefCell<Vec<PathBuf>> = RefCell::default();
    }

    #[test]
    fn writes_privately_and_never_over_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        write_new_private(&path, b"one").unwrap();
        check_private(&path).unwrap();
        assert!(matches!(write_new_private(&path, b"two"), Err(FileError::Exists(_))));
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write_private(&path, b"three").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let message = check_private(&path).unwrap_err().to_string();
        assert!(message.contains("mode 640") && message.contains("chmod 600"), "{message}");
        assert!(matches!(read_private(&path), Err(FileError::TooOpen { .. })));
    }

    #[test]
    fn what_is_half_written_goes_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let left = write_beside(&dir.path().join("k.checkpoint"), b"half").unwrap();
        let stays = [
            "k.new",
            "k.0123456789abcdeg.new",
            "k.0123456789ABCDEF.new",
            ".0123456789abcdef.new",
            "k.0123456789abcdef",
        ];
        for name in stays {
            fs::write(dir.path().join(name), b"whole").unwrap();
        }
        fs::create_dir(dir.path().join("d.0123456789abcdef.new")).unwrap();
        assert_eq!(remove_unfinished(dir.path()).unwrap(), 1);
        assert!(!left.exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), stays.len() + 1);
        assert_eq!(remove_unfinished(&dir.path().join("none")).unwrap(), 0);
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let [pipe, file] = ["pipe", "file"].map(|name| dir.path().join(name));
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        write_private(&file, b"text").unwrap();
        for path in [&pipe, dir.path()] {
            assert!(open_regular(path).unwrap_err().to_string().contains("no regular file"), "{}", path.display());
        }
        assert!(matches!(read_private(&pipe), Err(FileError::NotAFile(_))));
        for options in [OpenOptions::new().read(true).write(true), OpenOptions::new().write(true)] {
            assert!(open_regular_with(options, &pipe).unwrap_err().to_string().contains("no regular file"));
            assert!(open_regular_with(options, &file).is_ok());
        }
        assert_eq!(io::read_to_string(open_regular(&file).unwrap()).unwrap(), "text");
    }

    #[test]
    fn a_link_is_read_through_and_never_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let [target, none, folder, above] = ["target", "none", "folder", "above"].map(|name| dir.path().join(name));
        write_private(&target, b"text").unwrap();
        fs::create_dir(&folder).unwrap();
        for to in [&target, &none, &folder] {
            let link = dir.path().join("link");
            std::os::unix::fs::symlink(to, &link).unwrap();
            let mut making = OpenOptions::new();
            making.create(true).truncate(true).write(true).mode(0o600);
            for options in [&mut making, OpenOptions::new().read(true).write(true), OpenOptions::new().append(true)] {
                let said = open_regular_with(options, &link).unwrap_err().to_string();
                assert!(said.contains("it is a symbolic link, expected a regular file"), "{said}");
            }
            assert_eq!(open_regular(&link).is_ok(), to == &target);
            assert_eq!(read_private(&link).is_ok(), to == &target, "a key may be mounted behind a link");
            fs::remove_file(link).unwrap();
        }
        assert_eq!(fs::read(&target).unwrap(), b"text");
        assert!(!none.exists());
        // The folder that it lies in may be elsewhere.
        std::os::unix::fs::symlink(dir.path(), &above).unwrap();
        assert!(open_regular_with(OpenOptions::new().write(true), &above.join("target")).is_ok());
        assert_eq!(
            open_regular_with(OpenOptions::new().write(true), &none).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn a_directory_is_on_the_medium_before_anything_is_made_in_it() {
        let synced = || SYNCED.with_borrow_mut(std::mem::take);
        let dir = tempfile::tempdir().unwrap();
        let [sink, node, segment] = ["sink", "sink/node", "sink/node/audit-000000"].map(|name| dir.path().join(name));
        let above = dir.path().parent().unwrap().to_owned();
        create_private_dir(&segment).unwrap();
        assert_eq!(synced(), [&above, dir.path(), &sink, &node]);
        write_private(&segment.join("batch"), b"x").unwrap();
        assert_eq!(synced(), [segment.as_path()]);
        // It may have been made a moment before the power went, or the sync failed then.
        create_private_dir(&segment).unwrap();
        assert_eq!(synced(), [node.as_path()]);
        fs::remove_dir_all(&node).unwrap();
        create_private_dir(&segment).unwrap();
        assert_eq!(synced(), [dir.path(), &sink, &node]);
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(create_private_dir(&dir.path().join("file/folder")).is_err());
        assert!(create_private_dir(&dir.path().join("file")).is_err());
    }

    #[test]
    fn a_folder_that_cannot_be_synced_is_no_hindrance() {
        // The file system there syncs no folder.
        let there = Path::new("/proc/self");
        assert!(sync_parent(there).is_err());
        create_private_dir(there).unwrap();
        create_private_dir(Path::new("/")).unwrap();
        assert_eq!(SYNCED.take(), [Path::new("/proc"), Path::new("/proc"), Path::new("/")]);
    }

    #[test]
    fn makes_directories_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/state");
        create_private_dir(&path).unwrap();
        create_private_dir(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert!(matches!(read_private(&path), Err(FileError::NotAFile(_))));
        assert!(write_private(&dir.path().join("none/k"), b"x").is_err(), "no directory, no file");
    }
}
