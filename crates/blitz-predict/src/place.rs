//! Files that are whole or not there. For the crates of blitz.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Has `write` write a file beside `path`, with the same extension, and puts it in the place of `path`. A program that is killed leaves the file
/// before, or none, and perhaps a part that [`place_of`] knows; an error leaves nothing of the new one.
pub fn in_place<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let part = format!("{}.part", std::process::id());
    let part = path.with_extension(match path.extension() {
        Some(extension) => format!("{part}.{}", extension.to_string_lossy()),
        None => part,
    });
    let placed = write(&part).and_then(|()| Ok(fs::rename(&part, path)?));
    if placed.is_err() {
        // The first error says why.
        let _ = fs::remove_file(&part);
    }
    placed
}

/// The file whose place another was to take: `run.json` for `run.4711.part.json`, which a program wrote that still runs or was killed. The mark of such a part is the
/// number of its process and `part`, before the extension or after it.
#[must_use]
pub fn place_of(part: &Path) -> Option<PathBuf> {
    let (before, extension) = part.file_name()?.to_str()?.rsplit_once(".part")?;
    let is_extension = extension.is_empty() || extension.rfind('.') == Some(0);
    let (stem, process) = before.rsplit_once('.')?;
    let is_process = process.parse::<u32>().is_ok();
    let name = || part.with_file_name(format!("{stem}{extension}"));
    (is_extension && is_process).then(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_known_by_its_name_and_no_other_file_is() {
        for name in ["run.json", "model.bpk.sha256", "intervals.png", "notes"] {
            let path = Path::new("folder").join(name);
            let mut places = Vec::new();
            let _ = in_place(&path, |part| {
                places.push(place_of(part));
                Err(io::Error::other("not written"))
            });
            assert_eq!(places, [Some(path)]);
        }
        assert_eq!(
            place_of(Path::new("a/model.bpk.4711.part")),
            Some("a/model.bpk".into())
        );
        for name in [
            "run.json",
            "run.part.json",
            "run.4711.json",
            "run.x.part.json",
            "4711.part",
            "run.4711.parts",
            "run.4711.part.json.bak",
        ] {
            assert_eq!(place_of(Path::new(name)), None, "{name}");
        }
    }
}
