//! Images that are none of those the classifier was trained on.

use std::sync::Arc;

use example_support::RunError;
use example_support::classification::Data;
use example_support::images::Images;
use rand::rngs::ChaCha12Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// A set of images from elsewhere.
#[derive(Debug, Clone)]
pub struct Outside {
    /// What they are.
    pub name: &'static str,
    /// The images.
    pub images: Arc<Images>,
}

/// Splits the last `classes` classes off: what is left to train and test on, and their test images.
pub fn leave_out(data: Data, classes: usize) -> Result<(Data, Option<Outside>), RunError> {
    if classes == 0 {
        return Ok((data, None));
    }
    let kept = data.classes.len().checked_sub(classes);
    let Some(kept) = kept.filter(|kept| *kept >= 2) else {
        return Err(RunError::Setting(format!(
            "of {} classes {classes} were to be left out, at least 2 have to stay",
            data.classes.len()
        )));
    };
    let is_kept = |label: u8| usize::from(label) < kept;
    let images = chosen(&data.test, |label| !is_kept(label));
    if images.is_empty() {
        return Err(RunError::Setting(format!(
            "of the last {classes} classes, which were to be left out, there are no test images"
        )));
    }
    let left_out = Outside {
        name: "classes left out",
        images: Arc::new(images),
    };
    let data = Data::new(
        &data.name,
        data.classes[..kept].to_vec(),
        chosen(&data.train, is_kept),
        chosen(&data.test, is_kept),
    )?;
    Ok((data, Some(left_out)))
}

fn chosen(images: &Images, wanted: impl Fn(u8) -> bool) -> Images {
    let numbers = (0..images.len()).filter(|i| wanted(images.labels[*i]));
    let numbers: Vec<usize> = numbers.collect();
    Images {
        shape: images.shape,
        pixels: numbers
            .iter()
            .flat_map(|i| images.image(*i))
            .copied()
            .collect(),
        labels: numbers.iter().map(|i| images.labels[*i]).collect(),
    }
}

/// What is made of the test images: turned by a right angle, their pixels shuffled, and as many of noise.
pub fn made_of(images: &Images, seed: u64) -> Vec<Outside> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let outside = |name, pixels| Outside {
        name,
        images: Arc::new(Images {
            shape: images.shape,
            pixels,
            labels: images.labels.clone(),
        }),
    };
    let [_, height, width] = images.shape;
    let turned = images.pixels.chunks(height * width).flat_map(|plane| {
        // Clockwise: what was the lowest row is the first column. Images are square.
        (0..height * width).map(move |at| plane[(height - 1 - at % width) * width + at / width])
    });
    let shuffled = images.pixels.chunks(height * width).flat_map(|plane| {
        let mut plane = plane.to_vec();
        plane.shuffle(&mut rng);
        plane
    });
    let mut sets = vec![
        outside("turned by 90°", turned.collect()),
        outside("pixels shuffled", shuffled.collect()),
    ];
    let noise = (0..images.pixels.len()).map(|_| rng.random::<u8>());
    sets.push(outside("uniform noise", noise.collect()));
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        Images::new([1, 2, 2], vec![1, 2, 3, 4, 5, 6, 7, 8], vec![0, 2], 3).unwrap()
    }

    #[test]
    fn an_image_is_turned_clockwise_and_shuffling_keeps_its_pixels() {
        let sets = made_of(&images(), 1);
        assert_eq!(sets[0].images.image(0), [3, 1, 4, 2]);
        for index in 0..2 {
            let mut shuffled = sets[1].images.image(index).to_vec();
            shuffled.sort_unstable();
            assert_eq!(shuffled, images().image(index));
        }
        assert!(sets.iter().all(|set| set.images.len() == 2));
    }

    #[test]
    fn classes_left_out_are_in_neither_set_and_too_many_are_refused() {
        let classes = ["a", "b", "c"].map(String::from).to_vec();
        let data = Data::new("letters", classes, images(), images()).unwrap();
        let (kept, outside) = leave_out(data.clone(), 1).unwrap();
        assert_eq!(
            (kept.train.labels.clone(), kept.classes.len()),
            (vec![0], 2)
        );
        assert_eq!(outside.unwrap().images.labels, [2]);
        let error = leave_out(data.clone(), 2).unwrap_err().to_string();
        assert!(
            error.contains("of 3 classes 2 were to be left out"),
            "{error}"
        );
        // Nothing to ask about, said before anything is trained.
        let test = chosen(&images(), |label| label == 0);
        let data = Data::new("letters", data.classes, images(), test).unwrap();
        let error = leave_out(data, 1).unwrap_err().to_string();
        assert!(error.contains("there are no test images"), "{error}");
    }
}
