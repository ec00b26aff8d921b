//! Files that are whole or not there. For the crates of blitz.

use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

/// Has `write` write a file beside `path`, with the same extension, and puts it in the place of `path`, with the
/// permissions of the file before. Where `path` is a link, it stays one, and what it leads to is replaced.
///
/// A program that is killed, or a loss of power, leaves the file before, or none. An error leaves nothing of the new
/// one, but for one of the folder that can't be synced: the new file is in its place then.
pub fn in_place<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let path = led_to(path);
    let part = part_of(&path);
    let placed = write(&part).and_then(|()| Ok(replace(&part, &path)?));
    if placed.is_err() {
        // The first error says why.
        let _ = fs::remove_file(&part);
    }
    placed
}

/// What [`in_place`] makes the file of this name of, if it is the name of a file that it has not put in its place yet.
pub fn name_of_part(name: &str) -> Option<&str> {
    let (name, own) = name.rsplit_once(".part")?.0.rsplit_once('.')?;
    // Earlier versions had the number of the process.
    let is_own = own.len() == OWN_DIGITS && u32::from_str_radix(own, 16).is_ok()
        || own.parse::<u32>().is_ok();
    is_own.then_some(name)
}

const OWN_DIGITS: usize = 8;

/// `model.bpk.0f3a65c1.part.bpk` for `model.bpk`: writers go by the extension. Each is another, of whatever thread,
/// process or machine.
fn part_of(path: &Path) -> PathBuf {
    let mut part = OsString::from(path);
    let own = RandomState::new().hash_one(std::process::id()) as u32;
    part.push(format!(".{own:0OWN_DIGITS$x}.part"));
    if let Some(extension) = path.extension() {
        part.push(".");
        part.push(extension);
    }
    part.into()
}

/// Where a chain of links ends, be a file there or not.
fn led_to(path: &Path) -> PathBuf {
    let mut path = path.to_path_buf();
    // Linux follows as many.
    for _ in 0..40 {
        let Ok(next) = fs::read_link(&path) else {
            break;
        };
        path = path.with_file_name(next);
    }
    path
}

fn replace(part: &Path, path: &Path) -> io::Result<()> {
    // Windows syncs no file that is open for reading alone.
    File::options().write(true).open(part)?.sync_all()?;
    if let Ok(before) = fs::metadata(path) {
        // A file system without permissions would refuse to set them.
        if fs::metadata(part)?.permissions() != before.permissions() {
            fs::set_permissions(part, before.permissions())?;
        }
    }
    fs::rename(part, path)?;
    sync_folder(path)
}

/// Has the folder's entries survive a loss of power. Only Unix opens folders.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(path: &Path, text: &str) {
        in_place(path, |part| fs::write(part, text)).unwrap();
    }

    #[test]
    fn a_part_has_the_extension_of_its_file_and_is_known_by_its_name() {
        for name in ["model-5.bpk", "model-5.bpk.sha256", "model"] {
            let part = part_of(Path::new(name));
            assert_eq!(
                part.extension().is_some_and(|ext| ext == "part"),
                name == "model"
            );
            assert_eq!(name_of_part(part.to_str().unwrap()), Some(name));
            assert_ne!(part, part_of(Path::new(name)));
            assert_eq!(name_of_part(name), None);
        }
        assert_eq!(
            name_of_part("model-5.bpk.4711.part.bpk"),
            Some("model-5.bpk")
        );
        assert_eq!(name_of_part("mine.part.bpk"), None);
        assert_eq!(name_of_part("a.dead.part.bpk"), None);
        assert_eq!(name_of_part("of.mine.part.bpk"), None);
    }

    #[test]
    fn an_error_leaves_the_file_before_and_nothing_of_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.txt");
        put(&path, "old");
        let failed = in_place(&path, |part| {
            fs::write(part, "new")?;
            Err(io::Error::other("full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one_and_what_it_leads_to_is_replaced() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("big")).unwrap();
        symlink("second.txt", at("first.txt")).unwrap();
        symlink(at("big/file.txt"), at("second.txt")).unwrap();
        // Before there is a file, and when there is.
        for text in ["old", "new"] {
            put(&at("first.txt"), text);
            assert!(at("first.txt").is_symlink() && at("second.txt").is_symlink());
            assert!(!at("big/file.txt").is_symlink());
            assert_eq!(fs::read_to_string(at("big/file.txt")).unwrap(), text);
            assert_eq!(fs::read_dir(at("big")).unwrap().count(), 1);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.txt");
        put(&path, "old");
        for mode in [0o600, 0o640, 0o444] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            put(&path, "new");
            let kept = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(kept & 0o777, mode);
        }
    }
}
