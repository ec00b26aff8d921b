//! The digits: MNIST from a folder with its IDX files, or the small 8×8 digits that the examples carry.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::classification::Data;
use crate::images::Images;
use crate::{EstimatorChoice, RunError};

const CLASSES: usize = 10;

/// The width and height of an MNIST image, and of the shipped digits once scaled up.
const SIDE: usize = 28;

/// The shipped digits that are kept for testing: the last ones, as the set's authors did with other writers'.
const SHIPPED_TEST: usize = 360;

/// The 1,797 digits of 8×8 pixels from the UCI set "Optical recognition of handwritten digits", as scikit-learn ships
/// them.
const DIGITS: &[u8] = include_bytes!("../data/digits.csv.gz");

/// Epochs for MNIST.
pub const MNIST_EPOCHS: &str = "10";

/// Images of a batch for MNIST.
pub const MNIST_BATCH: &str = "128";

// What follows was chosen by `mnist --validate`.

/// The learning rate that Adam starts with.
pub const LEARNING_RATE: &str = "4e-3";

/// How the layers draw. At deviations as small as [`INITIAL_STD`] a draw for each row gains nothing.
pub const ESTIMATOR: EstimatorChoice = EstimatorChoice::Shared;

/// The deviation that posteriors start with.
pub const INITIAL_STD: f64 = 0.02;

/// The weight of the KL for MNIST: in full it costs two fifths more errors in ten epochs.
const MNIST_BETA: f64 = 0.1;

/// The weight of the KL for the shipped digits: so few images don't say enough about 61,706 weights to pay for them in
/// full.
const SHIPPED_BETA: f64 = 0.03;

/// The set in `folder`, or the shipped digits without one.
pub fn load(folder: Option<&Path>) -> Result<Data, RunError> {
    folder.map_or_else(shipped, idx)
}

/// The weight of the KL for the set that [`load`] returns, unless one is chosen.
pub fn beta(chosen: Option<f64>, folder: Option<&Path>) -> f64 {
    chosen.unwrap_or(match folder {
        Some(_) => MNIST_BETA,
        None => SHIPPED_BETA,
    })
}

/// The shipped digits as they are, 8×8 pixels from 0 to 16, each with its label.
pub fn small() -> Vec<([u8; 64], u8)> {
    let mut text = String::new();
    MultiGzDecoder::new(DIGITS)
        .read_to_string(&mut text)
        .unwrap_or_else(|_| unreachable!("the shipped file is sound"));
    let digit = |line: &str| {
        let row: Vec<u8> = line.split(',').filter_map(|v| v.parse().ok()).collect();
        let (pixels, label) = row.split_first_chunk()?;
        let [label] = label else { return None };
        Some((*pixels, *label))
    };
    let digits: Option<Vec<_>> = text.lines().map(digit).collect();
    digits.unwrap_or_else(|| unreachable!("the shipped file is sound"))
}

/// The shipped digits, each pixel tripled and a margin of two added: 28×28, as MNIST is.
pub fn shipped() -> Result<Data, RunError> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (small, label) in small() {
        pixels.extend(enlarge(&small));
        labels.push(label);
    }
    let images = Images::new([1, SIDE, SIDE], pixels, labels, CLASSES)?;
    let (train, test) = images.split_last(SHIPPED_TEST);
    Data::new("digits 8×8", names(), train, test)
}

/// 8×8 pixels from 0 to 16 as 28×28 pixels from 0 to 255.
fn enlarge(small: &[u8; 64]) -> Vec<u8> {
    const MARGIN: usize = 2;
    const SCALE: usize = 3;
    let mut large = vec![0; SIDE * SIDE];
    for row in 0..8 * SCALE {
        for column in 0..8 * SCALE {
            let value = small[row / SCALE * 8 + column / SCALE];
            large[(row + MARGIN) * SIDE + column + MARGIN] = value.min(16).saturating_mul(15);
        }
    }
    large
}

/// MNIST, or a set in its format, from the four IDX files in `folder`, compressed (`.gz`) or not.
pub fn idx(folder: &Path) -> Result<Data, RunError> {
    let set = |prefix: &str| -> Result<Images, RunError> {
        let (path, images) = read(folder, &format!("{prefix}-images-idx3-ubyte"))?;
        let (shape, pixels) = parse::<3>(&path, &images)?;
        let (labels_path, labels) = read(folder, &format!("{prefix}-labels-idx1-ubyte"))?;
        let ([count], labels) = parse::<1>(&labels_path, &labels)?;
        let [images, height, width] = shape;
        if (height, width) != (SIDE, SIDE) {
            let reason = format!(
                "the images are {height}×{width}, those of MNIST, which the networks take, {SIDE}×{SIDE}"
            );
            return Err(RunError::data(path, reason));
        }
        if images != count {
            let reason = format!("{count} labels for the {images} images beside it");
            return Err(RunError::data(labels_path, reason));
        }
        Images::new(
            [1, height, width],
            pixels.to_vec(),
            labels.to_vec(),
            CLASSES,
        )
        .map_err(|error| RunError::data(labels_path, error))
    };
    let name = folder.file_name().unwrap_or(folder.as_os_str());
    Data::new(
        &name.to_string_lossy(),
        names(),
        set("train")?,
        set("t10k")?,
    )
}

fn names() -> Vec<String> {
    (0..CLASSES).map(|class| class.to_string()).collect()
}

/// The bytes of `name` or `name.gz` in `folder`.
fn read(folder: &Path, name: &str) -> Result<(PathBuf, Vec<u8>), RunError> {
    let (plain, packed) = (folder.join(name), folder.join(format!("{name}.gz")));
    if !plain.exists() && packed.exists() {
        let file = std::fs::File::open(&packed).map_err(|error| RunError::data(&packed, error))?;
        let mut bytes = Vec::new();
        // A packed file may have several members, and nothing else after them.
        return match MultiGzDecoder::new(file).read_to_end(&mut bytes) {
            Ok(_) => Ok((packed, bytes)),
            Err(error) => Err(RunError::data(packed, error)),
        };
    }
    match std::fs::read(&plain) {
        Ok(bytes) => Ok((plain, bytes)),
        Err(error) => Err(RunError::data(
            plain,
            format!("{error} (nor is there a .gz)"),
        )),
    }
}

/// The sizes of the `D` axes and the values of an IDX file of bytes: a magic number 0x0000080D, then each size as a
/// big-endian 32-bit number, then the values.
fn parse<'a, const D: usize>(
    path: &Path,
    bytes: &'a [u8],
) -> Result<([usize; D], &'a [u8]), RunError> {
    let word = |i: usize| -> Option<usize> {
        let word = bytes.get(4 * i..4 * i + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(word) as usize)
    };
    let magic = 0x0800 + D;
    if word(0) != Some(magic) {
        let reason =
            format!("no IDX file of bytes with {D} axes: it should begin with {magic:#010x}");
        return Err(RunError::data(path, reason));
    }
    let mut sizes = [0; D];
    for (axis, size) in sizes.iter_mut().enumerate() {
        *size = word(axis + 1)
            .ok_or_else(|| RunError::data(path, "the file ends inside its header"))?;
    }
    let values = &bytes[4 * (D + 1)..];
    let expected = sizes
        .iter()
        .try_fold(1usize, |n, size| n.checked_mul(*size));
    if expected != Some(values.len()) {
        let reason = format!(
            "{} values where the header promises {sizes:?}",
            values.len()
        );
        return Err(RunError::data(path, reason));
    }
    Ok((sizes, values))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    fn idx_bytes(sizes: &[u32], values: &[u8]) -> Vec<u8> {
        let magic = 0x0800 + sizes.len() as u32;
        let words = std::iter::once(&magic).chain(sizes);
        let mut bytes: Vec<u8> = words.flat_map(|word| word.to_be_bytes()).collect();
        bytes.extend(values);
        bytes
    }

    /// A folder with two training images and one test image.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (prefix, n, labels) in [("train", 2u32, vec![3, 9]), ("t10k", 1, vec![0])] {
            let pixels = vec![7; n as usize * SIDE * SIDE];
            let images = idx_bytes(&[n, SIDE as u32, SIDE as u32], &pixels);
            let write = |name: &str, bytes: Vec<u8>| {
                std::fs::write(folder.path().join(format!("{prefix}-{name}")), bytes).unwrap();
            };
            write("images-idx3-ubyte", images);
            write("labels-idx1-ubyte", idx_bytes(&[n], &labels));
        }
        folder
    }

    fn refusal(folder: &tempfile::TempDir) -> String {
        idx(folder.path()).unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_digits_are_all_there() {
        let data = shipped().unwrap();
        assert_eq!((data.train.len(), data.test.len()), (1437, 360));
        let mut counts = [0; CLASSES];
        for label in data.train.labels().into_iter().chain(data.test.labels()) {
            counts[label] += 1;
        }
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        // The first digit is a zero: ink in its ring, none in the middle nor in the margin.
        let first = data.train.image(0);
        assert_eq!((first[0], first[14 * SIDE + 14]), (0, 0));
        assert_eq!(first[2 * SIDE + 2 + 9], 13 * 15);
    }

    #[test]
    fn idx_files_are_read_packed_and_plain() {
        let folder = folder();
        let plain = idx(folder.path()).unwrap();
        assert_eq!(plain.train.labels, [3, 9]);
        let name = folder.path().join("train-images-idx3-ubyte");
        let bytes = std::fs::read(&name).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(
            std::fs::File::create(name.with_extension("gz")).unwrap(),
            flate2::Compression::fast(),
        );
        std::io::Write::write_all(&mut encoder, &bytes).unwrap();
        encoder.finish().unwrap();
        std::fs::remove_file(name).unwrap();
        assert_eq!(idx(folder.path()).unwrap().train.pixels, plain.train.pixels);
    }

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let compression = flate2::Compression::fast();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), compression);
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_packed_file_has_members_and_nothing_else() {
        let folder = folder();
        let name = folder.path().join("train-images-idx3-ubyte");
        let bytes = std::fs::read(&name).unwrap();
        std::fs::remove_file(&name).unwrap();
        let packed = name.with_extension("gz");
        let (first, second) = bytes.split_at(100);
        let members = [pack(first), pack(second)].concat();
        std::fs::write(&packed, &members).unwrap();
        assert_eq!(idx(folder.path()).unwrap().train.pixels, bytes[16..]);
        for rubbish in [&b"x"[..], b"rubbish after the last member", &[0; 512]] {
            std::fs::write(&packed, [&members, rubbish].concat()).unwrap();
            let message = refusal(&folder);
            assert!(
                message.contains("train-images-idx3-ubyte.gz: "),
                "{message}"
            );
        }
    }

    #[test]
    fn a_broken_folder_says_which_file_and_what_is_wrong() {
        let broken = folder();
        let at = |name: &str| broken.path().join(name);
        let original = std::fs::read(at("train-images-idx3-ubyte")).unwrap();
        for (bytes, reason) in [
            (
                &original[..original.len() - 1],
                "1567 values where the header promises [2, 28, 28]",
            ),
            (&original[..9], "ends inside its header"),
            (&[][..], "should begin with 0x00000803"),
            (&[1, 2, 3, 4, 5][..], "should begin with 0x00000803"),
        ] {
            std::fs::write(at("train-images-idx3-ubyte"), bytes).unwrap();
            let message = refusal(&broken);
            assert!(message.contains("train-images-idx3-ubyte: "), "{message}");
            assert!(message.contains(reason), "{message}");
        }
        std::fs::write(at("train-images-idx3-ubyte"), &original).unwrap();
        for (labels, reason) in [
            (vec![3], "1 labels for the 2 images"),
            (
                vec![3, 10],
                "image 1 has label 10, but there are 10 classes",
            ),
        ] {
            let bytes = idx_bytes(&[labels.len() as u32], &labels);
            std::fs::write(at("train-labels-idx1-ubyte"), bytes).unwrap();
            let message = refusal(&broken);
            assert!(message.contains(reason), "{message}");
        }
        std::fs::write(at("t10k-images-idx3-ubyte"), idx_bytes(&[0, 28, 28], &[])).unwrap();
        std::fs::write(at("t10k-labels-idx1-ubyte"), idx_bytes(&[0], &[])).unwrap();
        std::fs::write(at("train-labels-idx1-ubyte"), idx_bytes(&[2], &[1, 2])).unwrap();
        assert_eq!(refusal(&broken), "there are no test images");
        let empty = tempfile::tempdir().unwrap();
        assert!(refusal(&empty).contains("No such file"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, rng_seed: RngSeed::Fixed(20), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_written_as_idx_is_read(
            labels in [prop::collection::vec(0..10u8, 1..5), prop::collection::vec(0..10u8, 1..5)],
            seed in any::<u32>(),
            pack in any::<bool>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let write = |name: String, bytes: &[u8]| {
                let path = folder.path().join(name);
                if pack {
                    let file = std::fs::File::create(path.with_extension("gz")).unwrap();
                    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
                    std::io::Write::write_all(&mut encoder, bytes).unwrap();
                    encoder.finish().unwrap();
                } else {
                    std::fs::write(path, bytes).unwrap();
                }
            };
            let pixel = |i: usize| (seed.wrapping_add(i as u32).wrapping_mul(2_654_435_761) >> 24) as u8;
            let pixels = labels.clone().map(|labels| {
                (0..labels.len() * SIDE * SIDE).map(pixel).collect::<Vec<u8>>()
            });
            for (set, prefix) in ["train", "t10k"].into_iter().enumerate() {
                let count = labels[set].len() as u32;
                let images = idx_bytes(&[count, SIDE as u32, SIDE as u32], &pixels[set]);
                write(format!("{prefix}-images-idx3-ubyte"), &images);
                write(format!("{prefix}-labels-idx1-ubyte"), &idx_bytes(&[count], &labels[set]));
            }
            let data = idx(folder.path()).unwrap();
            for (set, read) in [data.train, data.test].into_iter().enumerate() {
                prop_assert_eq!(read.shape, [1, SIDE, SIDE]);
                prop_assert_eq!(&read.labels, &labels[set]);
                prop_assert_eq!(&read.pixels, &pixels[set]);
            }
        }
    }
}
