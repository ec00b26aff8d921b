//! Files that are known to be whole: beside each lies the digest of its bytes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

#[cfg(feature = "train")]
use blitz_predict::place::in_place;
use sha2::{Digest, Sha256};

/// What a file's digest says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// The file has the bytes that were written.
    Whole,
    /// It has others.
    Broken,
    /// It has no digest: another program wrote it, or an earlier version.
    Missing,
}

/// Removes the seal of a file that is to be written over. A process that ends before the next seal leaves a file without one, not
/// a file with the seal of another.
pub fn unseal(path: &Path) -> io::Result<()> {
    remove(&seal_of(path))
}

/// Compares the file at `path` with its seal.
pub fn check(path: &Path) -> io::Result<Seal> {
    let seal = match fs::read_to_string(seal_of(path)) {
        Ok(seal) => seal,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Seal::Missing),
        // Not text any more.
        Err(error) if error.kind() == ErrorKind::InvalidData => return Ok(Seal::Broken),
        Err(error) => return Err(error),
    };
    let digest = digest(path)?;
    Ok(match seal.split_whitespace().next() == Some(&digest) {
        true => Seal::Whole,
        false => Seal::Broken,
    })
}

/// Whether the file at `path` has a seal, be it right or not.
#[cfg(feature = "train")]
pub(crate) fn is_there(path: &Path) -> bool {
    seal_of(path).exists()
}

/// Removes a file and its seal, if they are there.
#[cfg(feature = "train")]
pub(crate) fn remove_sealed(path: &Path) -> io::Result<()> {
    remove(path)?;
    unseal(path)
}

/// The path of the seal: `model-5.bpk.sha256` for `model-5.bpk`.
fn seal_of(path: &Path) -> PathBuf {
    with_suffix(path, ".sha256")
}

/// Writes the seal in the form that `sha256sum --check` reads: under another name, then in its place, so that it is there whole or
/// not at all.
pub fn seal(path: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let line = format!("{}  {name}\n", digest(path)?);
    let seal = seal_of(path);
    let scratch = with_suffix(&seal, &format!(".{}", std::process::id()));
    let written = File::create(&scratch).and_then(|mut file| {
        file.write_all(line.as_bytes())?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&scratch, &seal)) {
        // The first error says why; a disk that is full may refuse this, too.
        let _ = remove(&scratch);
        return Err(error);
    }
    sync_folder(path)
}

/// Writes a file under another name, then puts it in its place: after a kill or a loss of power it has the bytes before, or these.
#[cfg(feature = "train")]
pub fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    in_place(path, |part| {
        let mut file = File::create(part)?;
        file.write_all(bytes)?;
        file.sync_all()
    })?;
    sync_folder(path)
}

/// As [`put`], with a seal.
#[cfg(feature = "train")]
pub fn put_sealed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    unseal(path)?;
    put(path, bytes)?;
    seal(path)
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

/// In hexadecimal digits.
fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
