//! Sequences of tokens as the frozen layers leave them, and what there is to learn and to be asked about.

use blitz_train::acquisition::random;
use blitz_train::prelude::*;
use burn::module::Module;
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderLayer};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use example_support::{Digest, RunError};

use crate::args::Cli;
use crate::model::Classifier;

/// A trained transformer and its task.
#[derive(Debug)]
pub struct Task {
    /// What it is.
    pub name: String,
    /// The classes to learn.
    pub classes: Vec<String>,
    /// The layers that get adapters.
    pub upper: Vec<TransformerEncoderLayer>,
    /// Of what is below them, and of the classes.
    pub files_and_classes: Digest,
    /// The network with the adapter of an earlier run, if that is to be scored.
    pub saved: Option<Classifier>,
    /// For each seed, its labelled examples.
    pub labelled: Vec<Sequences>,
    /// What the scores are measured on.
    pub test: Sequences,
    /// Examples of no class that was learnt, of the same kind.
    pub near: Sequences,
    /// Examples of another kind.
    pub far: Sequences,
}

/// A batch of sequences.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// `[sequence, token, feature]`.
    pub states: Tensor<3>,
    /// Where there is no token, `[sequence, token]`.
    pub padding: Tensor<2, Bool>,
}

/// Sequences, and the class of each.
#[derive(Debug, Clone, Default)]
pub struct Sequences {
    features: usize,
    states: Vec<Vec<f32>>,
    labels: Vec<usize>,
}

impl Sequences {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// The class of each.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Those at these places.
    pub fn of(&self, places: &[usize]) -> Self {
        Self {
            features: self.features,
            states: places.iter().map(|at| self.states[*at].clone()).collect(),
            labels: places.iter().map(|at| self.labels[*at]).collect(),
        }
    }

    /// Shorter ones first: a batch is as long as its longest.
    fn sorted(self) -> Self {
        let mut places: Vec<usize> = (0..self.len()).collect();
        places.sort_by_key(|at| self.states[*at].len());
        self.of(&places)
    }

    /// All as batches, in their order.
    pub fn batches(
        &self,
        size: usize,
        device: &Device,
    ) -> impl Iterator<Item = LabeledBatch<Tokens, Tensor<1, Int>>> {
        let places: Vec<usize> = (0..self.len()).collect();
        let chunks: Vec<Vec<usize>> = places.chunks(size).map(<[usize]>::to_vec).collect();
        chunks.into_iter().map(|chunk| self.batch(&chunk, device))
    }

    /// All as batches, in a random order: these are in the order of their classes or lengths, so that the first are no
    /// sample of all.
    pub fn in_random_order(
        &self,
        size: usize,
        seed: u64,
        device: &Device,
    ) -> Vec<LabeledBatch<Tokens, Tensor<1, Int>>> {
        let all: Vec<usize> = (0..self.len()).collect();
        let places = shuffled(&all, seed);
        let chunks = places.chunks(size);
        chunks.map(|places| self.batch(places, device)).collect()
    }

    /// Those at these places as a batch.
    pub fn batch(&self, places: &[usize], device: &Device) -> LabeledBatch<Tokens, Tensor<1, Int>> {
        let rows: Vec<&[f32]> = places.iter().map(|at| &self.states[*at][..]).collect();
        let labels = places.iter().map(|at| self.labels[*at] as i32);
        let labels = TensorData::new(labels.collect::<Vec<_>>(), [places.len()]);
        LabeledBatch {
            inputs: padded(&rows, self.features, device),
            targets: Tensor::from_data(labels, device),
        }
    }

    /// Three quarters of each class, and the rest.
    pub fn hold_out(&self, classes: usize, seed: u64) -> [Self; 2] {
        let (mut kept, mut held_out) = (Vec::new(), Vec::new());
        for class in 0..classes {
            let members = shuffled(&members(&self.labels, class), seed ^ ((class as u64) << 32));
            let (held, rest) = members.split_at((members.len() / 4).max(1));
            held_out.extend(held);
            kept.extend(rest);
        }
        [self.of(&kept), self.of(&held_out)]
    }
}

fn padded(rows: &[&[f32]], features: usize, device: &Device) -> Tokens {
    let length = |row: &[f32]| row.len() / features;
    let longest = rows.iter().map(|row| length(row)).max().unwrap_or(0);
    let mut states = Vec::with_capacity(rows.len() * longest * features);
    let mut padding = Vec::with_capacity(rows.len() * longest);
    for row in rows {
        states.extend_from_slice(row);
        states.resize(states.len() + longest * features - row.len(), 0.0);
        padding.extend((0..longest).map(|at| at >= length(row)));
    }
    let states = TensorData::new(states, [rows.len(), longest, features]);
    let padding = TensorData::new(padding, [rows.len(), longest]);
    Tokens {
        states: Tensor::from_data(states, device),
        padding: Tensor::from_data(padding, device),
    }
}

/// Runs batches through the frozen layers, once for all: they are the same in every training.
pub fn through(
    frozen: &[TransformerEncoderLayer],
    batches: impl Iterator<Item = (Tokens, Vec<usize>)>,
) -> Sequences {
    let mut all = Sequences::default();
    for (Tokens { states, padding }, labels) in batches {
        let states = frozen.iter().fold(states, |states, layer| {
            layer.forward(states, Some(padding.clone()), None)
        });
        let [_, length, features] = states.dims();
        all.features = features;
        let states: Vec<f32> = states.into_data().iter::<f32>().collect();
        let padding: Vec<bool> = padding.into_data().iter::<bool>().collect();
        let rows = states.chunks(length * features).zip(padding.chunks(length));
        for (row, padding) in rows {
            let tokens = padding.iter().filter(|is_padding| !**is_padding).count();
            all.states.push(row[..tokens * features].to_vec());
        }
        all.labels.extend(labels);
    }
    all.sorted()
}

/// Fails unless the adapters that were asked for fit a transformer of so many layers and features. Asked before
/// anything is computed.
pub fn check_adapters(cli: &Cli, layers: usize, features: usize) -> Result<(), RunError> {
    let (adapted, rank) = (cli.layers, cli.rank);
    if adapted > layers {
        return Err(RunError::Setting(format!(
            "the transformer has {layers} layers, {adapted} were to get adapters"
        )));
    }
    if rank > features {
        return Err(RunError::Setting(format!(
            "adapters of rank {rank} are larger than the matrices of {features} × {features} beside them"
        )));
    }
    Ok(())
}

/// The frozen layers, and the last `adapted`.
///
/// # Panics
///
/// Panics if there are fewer, which [`check_adapters`] refuses.
pub fn split(encoder: &TransformerEncoder, adapted: usize) -> [Vec<TransformerEncoderLayer>; 2] {
    let (frozen, upper) = encoder.layers.split_at(encoder.layers.len() - adapted);
    [frozen.iter().map(Module::valid).collect(), upper.to_vec()]
}

/// Labels of a class at least: a quarter is held out.
pub const LEAST_LABELS: usize = 4;

/// The places of `count` examples of each class, chosen at random, or of all where a class has fewer.
pub fn choose(
    labels: &[usize],
    classes: &[String],
    count: usize,
    seed: u64,
) -> Result<Vec<usize>, RunError> {
    let mut chosen = Vec::new();
    for (class, name) in classes.iter().enumerate() {
        let members = shuffled(&members(labels, class), seed ^ ((class as u64) << 32));
        if members.len() < LEAST_LABELS {
            return Err(RunError::Setting(format!(
                "class {name} has {} training examples, and a class needs {LEAST_LABELS}",
                members.len()
            )));
        }
        chosen.extend(members.into_iter().take(count));
    }
    Ok(chosen)
}

fn members(labels: &[usize], class: usize) -> Vec<usize> {
    let places = labels.iter().enumerate();
    let members = places.filter(|(_, label)| **label == class);
    members.map(|(at, _)| at).collect()
}

/// In another order.
pub fn shuffled(places: &[usize], seed: u64) -> Vec<usize> {
    let order = random(places.len(), places.len(), seed)
        .unwrap_or_else(|_| unreachable!("as many as there are"));
    order.indices.into_iter().map(|at| places[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_as_long_as_its_longest_and_says_where_no_token_is() {
        let sequences = Sequences {
            features: 2,
            states: vec![vec![1.0, 2.0], vec![3.0, 4.0, 5.0, 6.0], vec![7.0; 6]],
            labels: vec![0, 1, 0],
        };
        let batch = sequences.batch(&[1, 0], &Device::flex());
        let states: Vec<f32> = batch.inputs.states.into_data().iter::<f32>().collect();
        assert_eq!(states, [3.0, 4.0, 5.0, 6.0, 1.0, 2.0, 0.0, 0.0]);
        let padding: Vec<bool> = batch.inputs.padding.into_data().iter::<bool>().collect();
        assert_eq!(padding, [false, false, false, true]);
        let labels: Vec<i64> = batch.targets.into_data().iter::<i64>().collect();
        assert_eq!(labels, [1, 0]);
    }

    #[test]
    fn a_quarter_of_each_class_is_held_out() {
        let labels: Vec<usize> = (0..40).map(|at| at % 2).collect();
        let sequences = Sequences {
            features: 1,
            states: (0..40).map(|at| vec![at as f32]).collect(),
            labels,
        };
        let [kept, held_out] = sequences.hold_out(2, 1);
        for (part, count) in [(&kept, 15), (&held_out, 5)] {
            for class in 0..2 {
                assert_eq!(members(part.labels(), class).len(), count);
            }
        }
        let mut all = [kept.states, held_out.states].concat().concat();
        all.sort_by(f32::total_cmp);
        assert_eq!(all, (0..40).map(|at| at as f32).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_batches_are_of_all_classes_though_the_examples_are_in_their_order() {
        let sequences = Sequences {
            features: 1,
            states: (0..400).map(|at| vec![at as f32]).collect(),
            labels: (0..400).map(|at| at / 100).collect(),
        };
        let batches = sequences.in_random_order(32, 1, &Device::flex());
        assert_eq!(batches.len(), 13);
        let first = batches.into_iter().take(2);
        let labels = first.map(|batch| batch.targets.into_data());
        let labels: Vec<i64> = labels
            .flat_map(|data| data.iter::<i64>().collect::<Vec<_>>())
            .collect();
        assert_eq!(labels.len(), 64);
        for class in 0..4 {
            // 16 are expected, with a deviation of 3.2.
            let count = labels.iter().filter(|label| **label == class).count();
            assert!((4..29).contains(&count), "{count} of class {class}");
        }
    }

    #[test]
    fn a_class_with_too_few_examples_is_named() {
        let classes = ["maths", "mail"].map(String::from);
        let error = choose(&[0, 0, 0, 0, 1], &classes, 4, 0).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("class mail has 1 training examples"),
            "{error}"
        );
        // What there is, where that is less than what was asked for.
        let labels = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1];
        let chosen = choose(&labels, &classes, 5, 0).unwrap();
        assert_eq!(
            members(&chosen.iter().map(|at| labels[*at]).collect::<Vec<_>>(), 0).len(),
            5
        );
        assert_eq!(chosen.len(), 9);
    }
}
