//! The metrics of a training as event files, which TensorBoard reads.
//!
//! An event file is a list of records (TFRecord), each a protobuf message `Event` with its length and two checksums.
//! Only what a scalar needs is written; `tensorboard_reference.py` beside the tests compares with TensorBoard's own
//! writer, byte by byte.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use burn::train::logger::MetricLogger;
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{MetricDefinition, NumericEntry};
use burn::train::{LearnerModel, SupervisedTraining};

use super::History;
use super::stop::StopAtFailure;

/// Has a training write the values of its metrics for TensorBoard: a point an epoch, in the runs `train` and `valid` of
/// a folder.
///
/// `tensorboard --logdir runs/mine` shows them while the training runs. A training that goes on writes a file of its
/// own, which says from which epoch it counts: points of epochs that it runs again take the place of those before.
/// Values are in `f32`, as TensorBoard's scalars are, a NaN or an infinity among them.
///
/// It goes together with [`MetricFiles`](super::MetricFiles), which has every batch and from which a training that goes
/// on reads the epochs before; these files are not read again. [`fit`](crate::fit) returns
/// [`FitError::Metrics`](crate::FitError::Metrics) if the folder can't be written; one that was only removed is made
/// anew.
///
/// ```no_run
/// use blitz_train::prelude::*;
/// use blitz_train::{Fitted, FitError, TensorBoardFiles};
/// use burn::train::{Learner, LearnerModel, SupervisedTraining};
///
/// # fn run<N: Network, L: Likelihood<Output = N::Output>>(
/// #     training: SupervisedTraining<ElboModel<N, L>>, learner: Learner<ElboModel<N, L>>,
/// # ) -> Result<Fitted<ElboModel<N, L>>, FitError> where ElboModel<N, L>: LearnerModel {
/// let training = TensorBoardFiles::new("runs/mine").keep(training);
/// let fitted = fit(training, learner)?;
/// # Ok(fitted)
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorBoardFiles {
    folder: PathBuf,
}

impl TensorBoardFiles {
    /// Those in `folder`, which need not be there yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Has `training` write here. An interrupter of the program's own is to be given to it before.
    #[must_use]
    pub fn keep<M: LearnerModel>(&self, training: SupervisedTraining<M>) -> SupervisedTraining<M> {
        let interrupter = training.interrupter();
        training.with_metric_logger(Events {
            folder: self.folder.clone(),
            file: file_name(),
            history: History::default(),
            stop: StopAtFailure::new(interrupter),
        })
    }
}

/// As TensorBoard looks for it; the names of later trainings come later in the alphabet.
fn file_name() -> String {
    static FILES: AtomicU64 = AtomicU64::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let (seconds, process) = (now() as u64, std::process::id());
    format!("events.out.tfevents.{seconds:010}.blitz.{process}.{number}")
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// The event files of a training, one for each split.
struct Events {
    folder: PathBuf,
    file: String,
    history: History,
    stop: StopAtFailure,
}

impl Events {
    /// Appends the points of an epoch. The file is opened for each, so that one that has vanished is noticed.
    fn write(&self, path: &Path, summary: &EpochSummary) -> io::Result<()> {
        let (time, step) = (now(), summary.epoch_number);
        let mut records = Vec::new();
        if !path.is_file() {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            records.extend(record(&version(time)));
            records.extend(record(&begin(time, step)));
        }
        for (name, value) in self.history.values(step, &summary.split) {
            records.extend(record(&scalar(time, step, name, value as f32)));
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        // At once, so that a process that is killed leaves whole epochs.
        file.write_all(&records)
    }
}

impl MetricLogger for Events {
    fn log(&mut self, update: MetricsUpdate, epoch: usize, split: &Split) {
        self.history.add(&update, epoch, split);
    }

    fn read_numeric(
        &mut self,
        name: &str,
        epoch: usize,
        split: &Split,
    ) -> Result<Vec<NumericEntry>, String> {
        if self.history.began_after(name, epoch, split) {
            // Burn asks the next logger, which may know.
            return Err(format!(
                "event files are not read again: {name} of epoch {epoch}"
            ));
        }
        Ok(self.history.read(name, epoch, split, || None))
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.history.define(definition);
    }

    fn log_epoch_summary(&mut self, summary: EpochSummary) {
        let path = self.folder.join(summary.split.to_string()).join(&self.file);
        if !self.stop.has_failed()
            && let Err(reason) = self.write(&path, &summary)
        {
            self.stop.failed(path, &reason);
        }
    }
}

/// The first event of a file.
fn version(time: f64) -> Vec<u8> {
    let mut event = Message::at(time);
    event.bytes(3, b"brain.Event:2");
    event.0
}

/// What has this step or a later one in the files before is out of date: `SessionLog { status: START }`.
fn begin(time: f64, step: usize) -> Vec<u8> {
    let mut log = Message::default();
    log.integer(1, 1);
    let mut event = Message::at(time);
    event.integer(2, step as u64);
    event.bytes(7, &log.0);
    event.0
}

/// `Summary { value: [Value { tag, simple_value }] }`.
fn scalar(time: f64, step: usize, tag: &str, value: f32) -> Vec<u8> {
    let mut point = Message::default();
    point.bytes(1, tag.as_bytes());
    point.key(2, 5);
    point.0.extend(value.to_le_bytes());
    let mut summary = Message::default();
    summary.bytes(1, &point.0);
    let mut event = Message::at(time);
    event.integer(2, step as u64);
    event.bytes(5, &summary.0);
    event.0
}

/// A protobuf message: fields, each with its number and how it is written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// An event of that time.
    fn at(time: f64) -> Self {
        let mut event = Self::default();
        event.key(1, 1);
        event.0.extend(time.to_le_bytes());
        event
    }

    fn key(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    fn integer(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.varint(value);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    /// Seven bits a byte, the lowest first; the eighth says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The length, its checksum, the message, its checksum.
fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let parts: [&[u8]; 4] = [
        &length,
        &checksum(&length).to_le_bytes(),
        message,
        &checksum(message).to_le_bytes(),
    ];
    parts.concat()
}

/// CRC-32C, rotated and shifted, so that a checksum of what holds checksums is sound.
fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            // The polynomial of Castagnoli, its bits reversed.
            crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::{begin, checksum, record, scalar, version};

    /// As TensorBoard writes them; printed by `tests/suite/tensorboard_reference.py`.
    const VERSION: &str =
        "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c";
    const BEGIN: &str = "100000000000000095fbfe1809000000000000f83f10ac023a020801713b788a";
    const SCALAR: &str =
        "1b000000000000001a0d9e130900001040fc54d94110ac022a0d0a0b0a044c6f7373150000003e3e29f759";
    const NAN: &str = "e10000000000000003b7489109000000000000f83f10012ad3010ad0010ac801cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83cf83150000c07f071c8f02";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn records_are_tensorboards_own_to_the_byte() {
        assert_eq!(hex(&record(&version(1.5))), VERSION);
        assert_eq!(hex(&record(&begin(1.5, 300))), BEGIN);
        let loss = scalar(1_700_000_000.25, 300, "Loss", 0.125);
        assert_eq!(hex(&record(&loss)), SCALAR);
        // A name that is longer than 127 bytes, and in another alphabet.
        let name = "σ".repeat(100);
        assert_eq!(hex(&record(&scalar(1.5, 1, &name, f32::NAN))), NAN);
    }

    #[test]
    fn the_checksum_is_castagnolis() {
        // RFC 3720, B.4: 32 bytes of zero have 8a9136aa, before it is masked.
        let unmasked = checksum(&[0; 32]).wrapping_sub(0xa282_ead8).rotate_left(15);
        assert_eq!(unmasked, 0x8a91_36aa);
    }
}
