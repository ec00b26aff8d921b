//! What runs without a model at hand: a small transformer that has learnt the digits 0 to 4, and is to learn 5 to 8.

use blitz_train::prelude::*;
use burn::module::Module;
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use example_support::methods::Plan;
use example_support::{Digest, RunError, digits, say};
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use rand::seq::SliceRandom;

use crate::args::Cli;
use crate::data::{Sequences, Task, Tokens, check_adapters, choose, shuffled, split, through};
use crate::methods::check_prediction;
use crate::model::saved;
use crate::train::BATCH;

/// A digit is 16 patches of 2×2 pixels.
const PATCHES: usize = 16;
const PIXELS: usize = 64;
const FEATURES: usize = 32;
const LAYERS: usize = 3;
/// The classes that the transformer is trained on, and those that are learnt by adapters; the one after them is near.
const BASE: usize = 5;
const CLASSES: usize = 4;
/// Sequences that are run at a time.
const AT_ONCE: usize = 256;

type Digit = ([u8; PIXELS], u8);

/// Patches and their places → transformer → mean → logits.
#[derive(Module, Debug)]
struct Base {
    patch: Linear,
    place: Embedding,
    encoder: TransformerEncoder,
    head: Linear,
}

impl Base {
    fn new(device: &Device) -> Self {
        let encoder = TransformerEncoderConfig::new(FEATURES, 2 * FEATURES, 4, LAYERS);
        Self {
            patch: LinearConfig::new(PIXELS / PATCHES, FEATURES).init(device),
            place: EmbeddingConfig::new(PATCHES, FEATURES).init(device),
            encoder: encoder.with_dropout(0.0).init(device),
            head: LinearConfig::new(FEATURES, BASE).init(device),
        }
    }

    fn tokens(&self, digits: &[&Digit], device: &Device) -> Tokens {
        let count = digits.len();
        let patches: Vec<f32> = digits.iter().flat_map(|digit| patches(&digit.0)).collect();
        let patches = TensorData::new(patches, [count, PATCHES, PIXELS / PATCHES]);
        let patches = self.patch.forward(Tensor::from_data(patches, device));
        let places = Tensor::<1, Int>::arange(0..PATCHES as i64, device).unsqueeze::<2>();
        Tokens {
            states: patches + self.place.forward(places),
            padding: Tensor::<2>::zeros([count, PATCHES], device).bool(),
        }
    }

    fn trained(digits: &[&Digit], epochs: usize, device: &Device) -> Self {
        device.seed(0);
        let mut net = Self::new(device);
        let likelihood = CategoricalLikelihoodConfig::new(BASE).init();
        let mut adam = FusedAdamConfig::new().init();
        let all: Vec<usize> = (0..digits.len()).collect();
        let plan = Plan::falling(epochs, 3e-3);
        for epoch in 0..epochs {
            for places in shuffled(&all, epoch as u64).chunks(BATCH) {
                let batch: Vec<&Digit> = places.iter().map(|at| digits[*at]).collect();
                let states = net.tokens(&batch, device).states;
                let states = net.encoder.forward(TransformerEncoderInput::new(states));
                let logits = net.head.forward(states.mean_dim(1).squeeze_dim(1));
                let labels: Vec<i32> = batch.iter().map(|digit| i32::from(digit.1)).collect();
                let labels = TensorData::new(labels, [batch.len()]);
                let loss = likelihood.nll(logits, Tensor::from_data(labels, device));
                let grads = GradientsParams::from_grads(loss.mean().backward(), &net);
                net = adam.step(plan.rate_at(epoch), net, grads);
            }
        }
        net
    }
}

/// The pixels patch after patch, each between 0 and 1.
fn patches(pixels: &[u8; PIXELS]) -> impl Iterator<Item = f32> {
    (0..PIXELS).map(|i| {
        let (patch, inside) = (i / 4, i % 4);
        let (row, column) = (2 * (patch / 4) + inside / 2, 2 * (patch % 4) + inside % 2);
        f32::from(pixels[8 * row + column]) / 16.0
    })
}

/// Trains the transformer on 0 to 4. Of 5 to 8 three fifths are for labels and the others for the test; 9 is near, and
/// test digits with their pixels shuffled are far.
pub fn task(cli: &Cli, device: &Device) -> Result<Task, RunError> {
    check_adapters(cli, LAYERS, FEATURES)?;
    check_prediction(cli, CLASSES)?;
    let digits = digits::small();
    let count = digits.len();
    // The file is in the order of its writers, who are to be alike in all parts.
    let order = shuffled(&(0..count).collect::<Vec<_>>(), 0);
    let digits: Vec<Digit> = order.into_iter().map(|at| digits[at]).collect();
    let of = |classes: std::ops::Range<usize>, part: std::ops::Range<usize>| -> Vec<&Digit> {
        let part = digits[part].iter();
        part.filter(|digit| classes.contains(&usize::from(digit.1)))
            .collect()
    };
    let new = BASE..BASE + CLASSES;
    let pool = of(new.clone(), 0..count * 3 / 5);
    let test = of(new.clone(), count * 3 / 5..count);
    let near = of(BASE + CLASSES..10, 0..count);
    let shapeless = without_shape(&test);

    say!("a small transformer learns the digits 0 to {}", BASE - 1);
    let autodiff = device.clone().autodiff();
    let base = Base::trained(&of(0..BASE, 0..count), cli.pretrain_epochs, &autodiff);
    let [frozen, upper] = split(&base.encoder, cli.layers);
    let classes: Vec<String> = new.map(|class| class.to_string()).collect();
    // There are no files: another training of the layers below is one of those above.
    let files = Digest::default();
    let saved = saved(cli, &upper, &classes, files.clone(), device)?;
    let base = base.valid();
    let run = |digits: &[&Digit]| -> Sequences {
        let batches = digits.chunks(AT_ONCE).map(|batch| {
            let labels = batch
                .iter()
                .map(|digit| usize::from(digit.1).saturating_sub(BASE));
            (base.tokens(batch, device), labels.collect())
        });
        through(&frozen, batches)
    };
    let labels: Vec<usize> = pool
        .iter()
        .map(|digit| usize::from(digit.1) - BASE)
        .collect();
    let labelled = cli.repetitions().into_iter().map(|seed| {
        let chosen = choose(&labels, &classes, cli.labels_per_class, seed)?;
        let chosen: Vec<&Digit> = chosen.into_iter().map(|at| pool[at]).collect();
        Ok(run(&chosen))
    });
    Ok(Task {
        name: "digits 8×8: a transformer that knows 0 to 4 learns 5 to 8".into(),
        labelled: labelled.collect::<Result<_, RunError>>()?,
        files_and_classes: files.names(&classes),
        classes,
        upper,
        saved,
        test: run(&test),
        near: run(&near),
        far: run(&shapeless.iter().collect::<Vec<_>>()),
    })
}

/// The digits with the pixels of each in another order.
fn without_shape(digits: &[&Digit]) -> Vec<Digit> {
    let mut rng = ChaCha12Rng::seed_from_u64(0);
    let shuffled = digits.iter().map(|(pixels, label)| {
        let mut pixels = *pixels;
        pixels.shuffle(&mut rng);
        (pixels, *label)
    });
    shuffled.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_a_square_of_pixels() {
        let pixels = std::array::from_fn(|i| i as u8);
        let patches: Vec<f32> = patches(&pixels).map(|value| value * 16.0).collect();
        assert_eq!(patches[..8], [0.0, 1.0, 8.0, 9.0, 2.0, 3.0, 10.0, 11.0]);
        assert_eq!(patches[60..], [54.0, 55.0, 62.0, 63.0]);
    }
}
