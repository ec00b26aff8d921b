//! CIFAR-10 from its binary files, or a stand-in made on the spot.

use std::path::Path;

use crate::classification::Data;
use crate::images::Images;
use crate::{RunError, say};

/// Channels, height and width of an image.
const SHAPE: [usize; 3] = [3, 32, 32];
/// A label and the red, green and blue planes.
const RECORD: usize = 1 + 3 * 32 * 32;

const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// The data set in `folder`, the unpacked "CIFAR-10 binary version": those of `data_batch_1.bin` to `data_batch_5.bin`
/// that are there, and `test_batch.bin`. Which of the five are not is said on standard error.
///
/// # Errors
///
/// Returns an error if none of the five is there, or if a file can't be read or is none of CIFAR-10's.
pub fn read(folder: &Path) -> Result<Data, RunError> {
    let batches = (1..=5).map(|number| format!("data_batch_{number}.bin"));
    // A link to a file that is gone is there, and can't be read.
    let (batches, missing): (Vec<String>, Vec<String>) =
        batches.partition(|name| folder.join(name).symlink_metadata().is_ok());
    if batches.is_empty() {
        let reason = "no data_batch_1.bin, as in CIFAR-10's binary version";
        return Err(RunError::data(folder, reason));
    }
    if !missing.is_empty() {
        let (there, missing) = (batches.len(), missing.join(", "));
        say!(
            "{}: {there} of 5 training files; {missing} not there",
            folder.display()
        );
    }
    let mut train = Records::default();
    for batch in &batches {
        train.read(&folder.join(batch))?;
    }
    let mut test = Records::default();
    test.read(&folder.join("test_batch.bin"))?;
    let names = CLASSES.map(String::from).to_vec();
    Data::new("CIFAR-10", names, train.images()?, test.images()?)
}

#[derive(Default)]
struct Records {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Records {
    fn read(&mut self, path: &Path) -> Result<(), RunError> {
        let bytes = std::fs::read(path).map_err(|error| RunError::data(path, error))?;
        if !bytes.len().is_multiple_of(RECORD) {
            let reason = format!(
                "{} bytes are no whole number of records of {RECORD} bytes",
                bytes.len()
            );
            return Err(RunError::data(path, reason));
        }
        for (i, record) in bytes.chunks(RECORD).enumerate() {
            if usize::from(record[0]) >= CLASSES.len() {
                let reason = format!("record {i} has label {}, not 0 to 9", record[0]);
                return Err(RunError::data(path, reason));
            }
            self.labels.push(record[0]);
            self.pixels.extend(&record[1..]);
        }
        Ok(())
    }

    fn images(self) -> Result<Images, RunError> {
        Ok(Images::new(SHAPE, self.pixels, self.labels, CLASSES.len())?)
    }
}

/// What the stand-in draws.
const PATTERNS: [&str; 4] = ["stripes", "rings", "checks", "blobs"];

/// Striped, ringed, checked and blotched images in random colours with noise, to try the program without the data set.
pub fn stand_in(train: usize, test: usize, seed: u64) -> Result<Data, RunError> {
    use blitz_train::blitz_core::noise::NoiseKey;

    let images = |count: usize, part: u64| -> Result<Images, RunError> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for index in 0..count {
            let label = index % PATTERNS.len();
            let mut noise = vec![0.0; 16 + 3 * 32 * 32];
            NoiseKey::new(seed, index as u64, part as u32).fill_standard_normal(0, &mut noise);
            let (random, noise) = noise.split_at(16);
            for (channel, noise) in noise.chunks(32 * 32).enumerate() {
                for (i, noise) in noise.iter().enumerate() {
                    let (y, x) = ((i / 32) as f32 - 15.5, (i % 32) as f32 - 15.5);
                    let ink = pattern(label, x, y, random);
                    let colour = 128.0 + 40.0 * random[8 + channel] + 25.0 * noise;
                    let contrast = 45.0 + 15.0 * random[12 + channel];
                    pixels.push((colour + contrast * ink).clamp(0.0, 255.0) as u8);
                }
            }
            labels.push(label as u8);
        }
        Ok(Images::new(SHAPE, pixels, labels, PATTERNS.len())?)
    };
    let names = PATTERNS.map(String::from).to_vec();
    Data::new(
        "stand-in patterns",
        names,
        images(train, 0)?,
        images(test, 1)?,
    )
}

/// The pattern's value, from −1 to 1, at a point of the image.
fn pattern(label: usize, x: f32, y: f32, random: &[f32]) -> f32 {
    let (angle, phase) = (3.0 * random[0], 3.0 * random[1]);
    let wave = 0.7 + 0.1 * random[2];
    let (u, v) = (
        x * angle.cos() + y * angle.sin(),
        y * angle.cos() - x * angle.sin(),
    );
    match label {
        0 => (wave * u + phase).sin(),
        1 => (wave * ((x - 3.0 * random[3]).powi(2) + (y - 3.0 * random[4]).powi(2)).sqrt()
            + phase)
            .sin(),
        2 => (wave * u + phase).sin() * (wave * v + phase).sin(),
        _ => {
            let near = |i: usize| {
                let (dx, dy) = (x - 8.0 * random[i], y - 8.0 * random[i + 1]);
                (-(dx * dx + dy * dy) / 30.0).exp()
            };
            2.0 * (near(3) + near(5)).min(1.0) - 1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    /// A folder with two images to train on, in two files, and one to test on.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (file, label) in [("data_batch_1", 3), ("data_batch_3", 9), ("test_batch", 0)] {
            let mut record = vec![label];
            record.extend((0..3072).map(|i| (i / 1024 * 100) as u8));
            std::fs::write(folder.path().join(format!("{file}.bin")), record).unwrap();
        }
        folder
    }

    #[test]
    fn records_are_read_in_order_with_their_channels() {
        let data = read(folder().path()).unwrap();
        assert_eq!(
            (data.train.labels(), data.test.labels()),
            (vec![3, 9], vec![0])
        );
        let image = data.train.image(1);
        assert_eq!((image[0], image[1024], image[3071]), (0, 100, 200));
    }

    #[test]
    fn a_broken_folder_says_which_file_and_what_is_wrong() {
        let folder = folder();
        let file = folder.path().join("data_batch_3.bin");
        let refusal = || read(folder.path()).unwrap_err().to_string();
        std::fs::write(&file, vec![0; 100]).unwrap();
        assert!(
            refusal().ends_with(
                "data_batch_3.bin: 100 bytes are no whole number of records of 3073 bytes"
            )
        );
        std::fs::write(&file, vec![10; RECORD]).unwrap();
        assert!(refusal().ends_with("data_batch_3.bin: record 0 has label 10, not 0 to 9"));
        std::fs::write(&file, []).unwrap();
        std::fs::write(folder.path().join("test_batch.bin"), []).unwrap();
        assert_eq!(refusal(), "there are no test images");
        std::fs::remove_file(folder.path().join("test_batch.bin")).unwrap();
        assert!(refusal().contains("test_batch.bin: No such file"));
        let empty = tempfile::tempdir().unwrap();
        let message = read(empty.path()).unwrap_err().to_string();
        assert!(message.contains("no data_batch_1.bin"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn a_training_file_that_links_to_nothing_is_refused() {
        let folder = folder();
        let link = folder.path().join("data_batch_2.bin");
        std::os::unix::fs::symlink("gone", link).unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("data_batch_2.bin: No such file"), "{error}");
    }

    #[test]
    fn the_stand_in_is_the_same_each_time_and_holds_every_pattern() {
        let (a, b) = (stand_in(8, 4, 1).unwrap(), stand_in(8, 4, 1).unwrap());
        assert_eq!(a.train.pixels, b.train.pixels);
        assert_eq!(a.test.labels(), [0, 1, 2, 3]);
        assert_ne!(a.train.image(0), a.test.image(0));
        assert_ne!(a.train.image(0), a.train.image(4));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, rng_seed: RngSeed::Fixed(20), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_written_as_records_is_read(
            files in prop::collection::vec(prop::collection::vec(0..10u8, 1..4), 2..7),
            seed in any::<u32>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let (test, train) = files.split_last().unwrap();
            let mut count = seed;
            let mut write = |name: String, labels: &[u8]| -> Vec<u8> {
                let mut all = Vec::new();
                let mut bytes = Vec::new();
                for label in labels {
                    let pixels: Vec<u8> = (1..RECORD)
                        .map(|_| {
                            count = count.wrapping_add(1);
                            (count.wrapping_mul(2_654_435_761) >> 24) as u8
                        })
                        .collect();
                    bytes.push(*label);
                    bytes.extend(&pixels);
                    all.extend(pixels);
                }
                std::fs::write(folder.path().join(name), bytes).unwrap();
                all
            };
            let mut pixels = Vec::new();
            for (i, labels) in train.iter().enumerate() {
                pixels.extend(write(format!("data_batch_{}.bin", i + 1), labels));
            }
            let test_pixels = write("test_batch.bin".into(), test);
            let data = read(folder.path()).unwrap();
            prop_assert_eq!(&data.train.labels, &train.concat());
            prop_assert_eq!(&data.train.pixels, &pixels);
            prop_assert_eq!(&data.test.labels, test);
            prop_assert_eq!(&data.test.pixels, &test_pixels);
        }
    }
}
