//! Labelled images in memory, and batches of them.

use std::sync::Arc;

use blitz_train::prelude::LabeledBatch;
use burn::data::dataloader::batcher::Batcher;
use burn::tensor::{Device, Int, Tensor, TensorData};
use thiserror::Error;

/// Images of one size with their labels.
#[derive(Debug, Clone)]
pub struct Images {
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// The pixels of all images, `[image, channel, row, column]`, from 0 to 255.
    pub pixels: Vec<u8>,
    /// The label of each image.
    pub labels: Vec<u8>,
}

/// Images and labels that don't belong together.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ImageError {
    /// Nothing to learn from.
    #[error("there are no {0} images")]
    None(&'static str),
    /// The pixels are not a whole number of images, one for each label.
    #[error("{pixels} pixels are not {labels} images of {shape:?}, one for each label")]
    Count {
        /// The number of pixels.
        pixels: usize,
        /// The number of labels.
        labels: usize,
        /// The shape of an image.
        shape: [usize; 3],
    },
    /// A label is too large.
    #[error("image {image} has label {label}, but there are {classes} classes")]
    Label {
        /// The number of the image.
        image: usize,
        /// Its label.
        label: u8,
        /// The number of classes.
        classes: usize,
    },
}

impl Images {
    /// Checks that pixels, labels and classes fit each other.
    pub fn new(
        shape: [usize; 3],
        pixels: Vec<u8>,
        labels: Vec<u8>,
        classes: usize,
    ) -> Result<Self, ImageError> {
        if pixels.len() != labels.len() * shape.iter().product::<usize>() {
            return Err(ImageError::Count {
                pixels: pixels.len(),
                labels: labels.len(),
                shape,
            });
        }
        if let Some(image) = labels.iter().position(|label| *label as usize >= classes) {
            return Err(ImageError::Label {
                image,
                label: labels[image],
                classes,
            });
        }
        Ok(Self {
            shape,
            pixels,
            labels,
        })
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The labels as numbers of classes.
    pub fn labels(&self) -> Vec<usize> {
        self.labels
            .iter()
            .map(|label| usize::from(*label))
            .collect()
    }

    /// The pixels of one image.
    pub fn image(&self, index: usize) -> &[u8] {
        let size = self.shape.iter().product::<usize>();
        &self.pixels[index * size..][..size]
    }

    /// The first `n` images, or all.
    #[must_use]
    pub fn first(mut self, n: usize) -> Self {
        let n = n.min(self.len());
        self.labels.truncate(n);
        self.pixels
            .truncate(n * self.shape.iter().product::<usize>());
        self
    }

    /// Splits off the last `n` images.
    pub fn split_last(mut self, n: usize) -> (Self, Self) {
        let keep = self.len().saturating_sub(n);
        let size = self.shape.iter().product::<usize>();
        let last = Self {
            shape: self.shape,
            pixels: self.pixels.split_off(keep * size),
            labels: self.labels.split_off(keep),
        };
        (self, last)
    }
}

/// Stacks the images of these numbers, their pixels standardized by the mean and deviation of each channel.
#[derive(Debug, Clone)]
pub struct ImageBatcher {
    images: Arc<Images>,
    scale: Vec<[f32; 2]>,
}

impl ImageBatcher {
    /// A batcher of `images` that standardizes by the pixels of `reference`, the training images.
    pub fn new(images: Arc<Images>, reference: &Images) -> Self {
        let [channels, height, width] = reference.shape;
        let mut moments = vec![(0.0f64, 0.0f64); channels];
        for (i, plane) in reference.pixels.chunks(height * width).enumerate() {
            let (sum, squares) = &mut moments[i % channels];
            for pixel in plane {
                *sum += f64::from(*pixel);
                *squares += f64::from(*pixel).powi(2);
            }
        }
        let n = (reference.len() * height * width) as f64;
        let scale = moments.into_iter().map(|(sum, squares)| {
            let mean = sum / n;
            let std = (squares / n - mean * mean).max(0.0).sqrt();
            [mean as f32, if std > 0.0 { std as f32 } else { 1.0 }]
        });
        Self {
            images,
            scale: scale.collect(),
        }
    }
}

impl Batcher<usize, LabeledBatch<Tensor<4>, Tensor<1, Int>>> for ImageBatcher {
    fn batch(&self, items: Vec<usize>, device: &Device) -> LabeledBatch<Tensor<4>, Tensor<1, Int>> {
        let [channels, height, width] = self.images.shape;
        let mut pixels = Vec::with_capacity(items.len() * channels * height * width);
        for item in &items {
            let planes = self.images.image(*item).chunks(height * width);
            for (plane, [mean, std]) in planes.zip(&self.scale) {
                pixels.extend(plane.iter().map(|pixel| (f32::from(*pixel) - mean) / std));
            }
        }
        let labels: Vec<i64> = items
            .iter()
            .map(|item| i64::from(self.images.labels[*item]))
            .collect();
        let shape = [items.len(), channels, height, width];
        LabeledBatch {
            inputs: Tensor::from_data(TensorData::new(pixels, shape), device),
            targets: Tensor::from_data(TensorData::new(labels, [items.len()]), device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        Images::new(
            [2, 1, 2],
            vec![0, 10, 50, 50, 20, 30, 50, 50],
            vec![1, 0],
            2,
        )
        .unwrap()
    }

    #[test]
    fn batches_are_standardized_by_channel_and_a_flat_channel_stays_finite() {
        let batcher = ImageBatcher::new(Arc::new(images()), &images());
        let batch = batcher.batch(vec![1, 0], &Device::flex());
        assert_eq!(batch.inputs.dims(), [2, 2, 1, 2]);
        let got: Vec<f32> = batch.inputs.into_data().try_to_vec().unwrap();
        let std = 125f32.sqrt();
        let expected = [5.0, 15.0, 0.0, 0.0, -15.0, -5.0, 0.0, 0.0];
        for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
            let expected = if i % 4 < 2 { expected / std } else { 0.0 };
            assert!((got - expected).abs() < 1e-6, "{i}: {got} {expected}");
        }
        let labels: Vec<i64> = batch.targets.into_data().iter().collect();
        assert_eq!(labels, [0, 1]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = Images::new([1, 2, 2], vec![0; 7], vec![0, 1], 2).unwrap_err();
        assert_eq!(
            error.to_string(),
            "7 pixels are not 2 images of [1, 2, 2], one for each label"
        );
        let error = Images::new([1, 1, 1], vec![0; 2], vec![0, 3], 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "image 1 has label 3, but there are 3 classes"
        );
    }

    #[test]
    fn splitting_and_cutting_keep_images_and_labels_together() {
        let (first, last) = images().split_last(1);
        assert_eq!((first.labels, last.labels.clone()), (vec![1], vec![0]));
        assert_eq!(last.image(0), [20, 30, 50, 50]);
        assert_eq!(images().first(1).image(0), [0, 10, 50, 50]);
        assert_eq!(images().first(9).len(), 2);
    }
}
