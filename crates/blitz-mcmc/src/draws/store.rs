//! Chains as files: one each, written when its last draw is made.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use blitz_train::blitz_predict::convergence::MIN_DRAWS;
use blitz_train::files::{self, Seal, put_sealed_by, seal};
use blitz_train::{CheckpointError, FolderClaim};
use serde::{Deserialize, Serialize};

use super::{ChainDraws, DrawStats, Draws};
use crate::density::Weight;
use crate::error::McmcError;

/// The numbers of a draw beside its position.
const STATS: usize = 7;

/// What makes a chain the one that it is: with the same there are the same draws, to the bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub weights: Vec<Weight>,
    /// The sampler and its settings, as text.
    pub sampler: String,
    pub chains: usize,
    pub draws: usize,
    pub chain: usize,
    /// A digest of the network's own weights, and of the log density and its gradient there: what the chains of a run
    /// share.
    pub density: u64,
    /// A digest of the chain's start, and of the log density and its gradient there: of network, likelihood, prior and
    /// data.
    pub start: u64,
    /// A digest of what of the network is not sampled; files of before don't say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsampled: Option<u64>,
}

impl Run {
    /// Whether the two are the same, as far as both say.
    fn agrees_with(&self, other: &Self) -> bool {
        let unsampled = self.unsampled.is_none()
            || other.unsampled.is_none()
            || self.unsampled == other.unsampled;
        let other = Self {
            unsampled: self.unsampled,
            ..other.clone()
        };
        unsampled && *self == other
    }

    /// The number of weights, unless a file says nonsense.
    fn dimensions(&self) -> Option<usize> {
        let len = |weight: &Weight| {
            let mut axes = weight.shape.iter();
            axes.try_fold(1usize, |len, axis| len.checked_mul(*axis))
        };
        let mut weights = self.weights.iter();
        let all = weights.try_fold(0usize, |all, weight| all.checked_add(len(weight)?));
        all.filter(|all| *all > 0)
    }
}

/// The folder of a run.
#[derive(Debug)]
pub(crate) struct ChainFiles {
    folder: PathBuf,
    _claim: FolderClaim,
}

impl ChainFiles {
    /// In `folder`, which is made if it is missing, and which no other run uses meanwhile.
    pub fn open(folder: &Path) -> Result<Self, McmcError> {
        fs::create_dir_all(folder).map_err(|error| McmcError::not_written(folder, error))?;
        let claim = FolderClaim::take(folder)?;
        Ok(Self {
            folder: folder.into(),
            _claim: claim,
        })
    }

    /// A chain that was finished before, if it was.
    ///
    /// A file has its name only when it is whole, and one of an earlier version may have no seal: it is taken, and
    /// sealed, if it has a chain. One that has none was damaged: the chain is made again in its place. A chain of
    /// another run is refused, with a seal or without.
    pub fn finished(&self, run: &Run) -> Result<Option<ChainDraws>, McmcError> {
        let path = path_of(&self.folder, run.chain);
        if !path.exists() {
            return Ok(None);
        }
        let (bytes, seal_found) = bytes_of(&path)?;
        let (found, chain) = match (parse(&path, &bytes), seal_found) {
            (Err(_), Seal::Missing) => return Ok(None),
            (parsed, _) => parsed?,
        };
        if !found.agrees_with(run) {
            return Err(McmcError::OtherRun { path });
        }
        if seal_found == Seal::Missing {
            seal(&path).map_err(|error| McmcError::not_written(&path, error))?;
        }
        Ok(Some(chain))
    }

    pub fn write(&self, run: &Run, chain: &ChainDraws) -> Result<(), McmcError> {
        let path = path_of(&self.folder, run.chain);
        let write = |part: &Path| -> io::Result<()> {
            let mut out = BufWriter::new(File::create(part)?);
            write_chain(run, chain, &mut out)?;
            out.flush()
        };
        put_sealed_by(&path, write).map_err(|error| McmcError::not_written(&path, error))
    }
}

pub(super) fn load(folder: &Path) -> Result<Draws, McmcError> {
    let first = path_of(folder, 0);
    let (mut run, chain) = read(&first)?;
    if run.chain != 0 {
        return Err(McmcError::OtherRun { path: first });
    }
    let mut chains = vec![chain];
    for number in 1..run.chains {
        let path = path_of(folder, number);
        let (other, chain) = read(&path)?;
        let same = Run {
            chain: number,
            start: other.start,
            ..run.clone()
        };
        if !other.agrees_with(&same) {
            return Err(McmcError::OtherRun { path });
        }
        run.unsampled = run.unsampled.or(other.unsampled);
        chains.push(chain);
    }
    Ok(Draws {
        weights: run.weights,
        chains,
        unsampled: run.unsampled,
    })
}

fn path_of(folder: &Path, chain: usize) -> PathBuf {
    folder.join(format!("chain-{chain}.draws"))
}

/// The file's bytes, and its seal, unless that is of other ones.
fn bytes_of(path: &Path) -> Result<(Vec<u8>, Seal), McmcError> {
    match files::read(path).map_err(|error| McmcError::unreadable(path, error))? {
        (_, Seal::Broken) => Err(CheckpointError::Damaged { path: path.into() }.into()),
        whole_or_missing => Ok(whole_or_missing),
    }
}

fn read(path: &Path) -> Result<(Run, ChainDraws), McmcError> {
    parse(path, &bytes_of(path)?.0)
}

fn write_chain(run: &Run, chain: &ChainDraws, out: &mut impl Write) -> io::Result<()> {
    // One line that says what it is, then the numbers, little-endian.
    serde_json::to_writer(&mut *out, run)?;
    out.write_all(b"\n")?;
    let size = chain.positions.len() / chain.stats.len();
    for (draw, position) in chain.stats.iter().zip(chain.positions.chunks_exact(size)) {
        let numbers = columns(draw);
        for number in numbers.iter().chain(position) {
            out.write_all(&number.to_le_bytes())?;
        }
    }
    Ok(())
}

fn columns(draw: &DrawStats) -> [f64; STATS] {
    [
        draw.log_density,
        draw.energy,
        draw.step_size,
        draw.tree_depth as f64,
        draw.leapfrogs as f64,
        draw.acceptance,
        f64::from(u8::from(draw.diverging)),
    ]
}

fn of_columns(columns: &[f64; STATS]) -> DrawStats {
    DrawStats {
        log_density: columns[0],
        energy: columns[1],
        step_size: columns[2],
        tree_depth: columns[3] as u64,
        leapfrogs: columns[4] as u64,
        acceptance: columns[5],
        diverging: columns[6] != 0.0,
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<(Run, ChainDraws), McmcError> {
    let unreadable = |reason: &dyn ToString| McmcError::unreadable(path, reason.to_string());
    let no_chain = || unreadable(&"it is no file of a chain");
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or_else(no_chain)?;
    let run: Run = serde_json::from_slice(&bytes[..end]).map_err(|error| unreadable(&error))?;
    if run.draws < MIN_DRAWS || run.chain >= run.chains {
        let Run {
            chain,
            chains,
            draws,
            ..
        } = run;
        let reason = format!("chain {chain} of {chains} with {draws} draws: no run has one");
        return Err(unreadable(&reason));
    }
    let numbers = &bytes[end + 1..];
    let not_as_it_says = || unreadable(&"it has not as many draws as it says");
    let size = run.dimensions().ok_or_else(not_as_it_says)?;
    let width = size.checked_add(STATS).ok_or_else(not_as_it_says)?;
    let bytes = run
        .draws
        .checked_mul(width)
        .and_then(|all| all.checked_mul(8));
    if Some(numbers.len()) != bytes {
        return Err(not_as_it_says());
    }
    let (words, _) = numbers.as_chunks::<8>();
    let mut chain = ChainDraws {
        positions: Vec::with_capacity(run.draws * size),
        stats: Vec::with_capacity(run.draws),
    };
    for draw in words.chunks_exact(width) {
        let mut numbers = draw.iter().map(|word| f64::from_le_bytes(*word));
        let columns: [f64; STATS] = std::array::from_fn(|_| numbers.next().unwrap_or(f64::NAN));
        chain.stats.push(of_columns(&columns));
        chain.positions.extend(numbers);
    }
    Ok((run, chain))
}
