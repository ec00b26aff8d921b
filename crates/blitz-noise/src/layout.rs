//! Who draws from which stream: the one place where seeds, indices and streams are shared out.
//!
//! A stream is named by `(seed, index, stream)`. Under one seed everything that draws is told apart here, by bits of
//! the index (what the draw is for) and by bits of the stream (what is drawn). What has no draw of a network takes
//! another seed: the user's, folded with a constant of its own.
//!
//! | who | seed | index | stream |
//! |---|---|---|---|
//! | a draw that a program opens itself | s | as given, below 2⁶² | |
//! | training step t, a-th loss of the step, sample k | s | `t << 32 \| a << 16 \| k`, t < 2³⁰ | |
//! | prediction, draw k; network k of SWAG, of a Laplace approximation, of an ensemble's member | s | `1 << 62 \| k` | |
//! | validation, sample k | s | `1 << 63 \| k` | |
//! | in a draw: the n-th weight of the model | | | `n` < 2²⁹ |
//! | in a draw: the n-th layer that is random itself | | | `1 << 29 \| n` |
//! | in a draw: what sharpening adds to weight n | | | `1 << 30 \| n` |
//! | in a draw: outputs of the layer of weight n | | | `1 << 31 \| n` |
//! | in a draw: the normals that all of SWAG's weights share | | | 2³² − 1 |
//! | reads outside any draw, in order | the process's ⊕ [`FRESH`] | a counter | as in a draw |
//! | NUTS, chain c: its sampler, its start | s ⊕ [`NUTS`] | c | 0, 1 |
//! | NUTS: position p at which a gradient is compared with the values | [`NUTS`] | p | 2 |
//! | SGLD, step t, parameter n of its group | s ⊕ [`SGLD`] | t | n |
//! | SGHMC, step t, parameter n of its group | s ⊕ [`SGHMC`] | t | n |
//! | values of a predictive distribution, sample k of prediction i | s ⊕ [`VALUES`] | k | i |
//! | the order of the quantiles of output n in a prediction by moments | s ⊕ [`MOMENTS`] | 0 | n |
//! | points of a pool chosen at random | s ⊕ [`ACQUISITION`] | [`acquisition::POINTS`] | 0 |
//! | labels that point i of a pool may have | s ⊕ [`ACQUISITION`] | [`acquisition::LABELS`] | i |
//! | logits of a Monte Carlo link, draw k | s ⊕ [`LINK`] | `1 << 62 \| k` | 0 |
//! | signs of a sampled Gauss–Newton matrix, sum d of example i | s ⊕ [`CURVATURE`] | `1 << 62 \| i` | d |
//! | the noise of adapter n in draw j of a search by TFB | s ⊕ [`TFB`] | j | n |
//! | conformal sets: example i of the calibration, of the application | s ⊕ [`CONFORMAL`] | i | [`conformal::CALIBRATION`], [`conformal::APPLICATION`] |
//!
//! A network that SWAG or a Laplace approximation draws has weights n of its own, in the same streams as the weights of
//! a Bayesian module. Both so refuse networks that have posteriors already.
//!
//! In a training of antithetic pairs, an odd sample k has the weights' noise of sample k − 1 with the other sign. What
//! has none, such as a layer that is random itself, has that of k.
//!
//! A training is so told apart from its validation and from every prediction with the same seed. A draw that a program
//! opens by its plain index is the training's of the same numbers: `model.draw(seed, 0)` is how a training step's draw
//! is made again.
//!
//! The initial factors of a low-rank posterior are a constant of the seed in its configuration and its shape, and so no
//! draw.

/// Set in the index of the draws of a validation.
const VALIDATION: u64 = 1 << 63;
/// Set in the index of the draws of a prediction.
const PREDICTION: u64 = 1 << 62;

/// Set in the stream of a layer's outputs.
const OUTPUTS: u32 = 1 << 31;
/// Set in the stream of what sharpening adds.
const SHARPENING: u32 = 1 << 30;
/// Set in the stream of a layer that is random itself.
const LAYER: u32 = 1 << 29;

/// Folded into the seed of the process-wide stream, of reads outside any draw.
pub const FRESH: u64 = 0x6672_6573_686e_6f69;
/// Folded into the seed of an SGLD chain.
pub const SGLD: u64 = 0x7367_6c64_6e6f_6973;
/// Folded into the seed of chains of NUTS.
pub const NUTS: u64 = 0x6e75_7473_6368_6169;
/// Folded into the seed of an SGHMC chain.
pub const SGHMC: u64 = 0x7367_686d_636e_6f69;
/// Folded into the seed of sampled values.
pub const VALUES: u64 = 0x7072_6564_6963_7473;
/// Folded into the seed of a prediction by moments.
pub const MOMENTS: u64 = 0x6d6f_6d65_6e74_7321;
/// Folded into the seed of an acquisition.
pub const ACQUISITION: u64 = 0x6163_7175_6972_696e;
/// Folded into the seed of randomized conformal sets.
pub const CONFORMAL: u64 = 0x636f_6e66_6f72_6d61;
/// Folded into the seed of logits that a link draws.
pub const LINK: u64 = 0x6c69_6e6b_6c6f_6769;
/// Folded into the seed of a curvature's signs.
pub const CURVATURE: u64 = 0x6375_7276_6174_7572;
/// Folded into the seed of a search by TFB.
pub const TFB: u64 = 0x7466_625f_6e6f_6973;

/// The indices under an acquisition's seed.
pub mod acquisition {
    /// Of points chosen at random.
    pub const POINTS: u64 = 0;
    /// Of the labels that points may have.
    pub const LABELS: u64 = 1;
}

/// The streams under the seed of conformal sets: calibration and application must be independent.
pub mod conformal {
    /// Of the examples of the calibration.
    pub const CALIBRATION: u32 = 0;
    /// Of the examples whose sets are made.
    pub const APPLICATION: u32 = 1;
}

/// The normals that all weights of a SWAG draw share.
pub const SWAG_SHARED: u32 = u32::MAX;

/// The index of the draw of a training: sample `sample` of loss `loss` of step `step`.
///
/// # Panics
///
/// Panics at step 2³⁰.
pub const fn training(step: u64, loss: u16, sample: u16) -> u64 {
    assert!(step < 1 << 30, "a training has at most 2^30 steps");
    (step << 32) | ((loss as u64) << 16) | sample as u64
}

/// The index of draw `sample` of a validation: the same at every validation, so that its loss moves because the model
/// does.
pub const fn validation(sample: u64) -> u64 {
    VALIDATION | sample
}

/// The index of draw `sample` of a prediction.
///
/// ```
/// use blitz_noise::layout::{prediction, training, validation};
///
/// assert_ne!(prediction(0), training(0, 0, 0));
/// assert_ne!(prediction(0), validation(0));
/// ```
///
/// # Panics
///
/// Panics at sample 2⁶².
pub const fn prediction(sample: u64) -> u64 {
    assert!(sample < PREDICTION, "a prediction has at most 2^62 draws");
    PREDICTION | sample
}

/// The stream of the `n`-th weight of a model.
///
/// # Panics
///
/// Panics from n = 2²⁹ on.
pub const fn weight(n: u32) -> u32 {
    check(n)
}

/// The stream of the outputs of the layer of the `n`-th weight (local reparameterization, flipout).
///
/// # Panics
///
/// Panics from n = 2²⁹ on.
pub const fn outputs(n: u32) -> u32 {
    OUTPUTS | check(n)
}

/// The stream of what sharpening adds to the `n`-th weight.
///
/// # Panics
///
/// Panics from n = 2²⁹ on.
pub const fn sharpening(n: u32) -> u32 {
    SHARPENING | check(n)
}

/// The stream of the `n`-th layer that is random itself, such as Monte Carlo dropout.
///
/// # Panics
///
/// Panics from n = 2²⁹ on.
pub const fn layer(n: u32) -> u32 {
    LAYER | check(n)
}

const fn check(n: u32) -> u32 {
    assert!(n < LAYER, "a model has at most 2^29 streams of a kind");
    n
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_streams_of_a_draw_meet() {
        let ends = [0, 1, 17, LAYER - 2];
        let streams = ends.map(|n| [weight(n), outputs(n), sharpening(n), layer(n)]);
        let mut all: Vec<u32> = streams.into_iter().flatten().collect();
        all.push(SWAG_SHARED);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn training_validation_and_prediction_share_no_draw() {
        let mut all = Vec::new();
        for n in [0, 1, 2, 70_000, 1 << 32, (1 << 62) - 1] {
            all.extend([validation(n), prediction(n)]);
        }
        for step in [0, 1, 2, (1 << 30) - 1] {
            for loss in [0, 1, u16::MAX] {
                all.extend([0, 1, u16::MAX].map(|sample| training(step, loss, sample)));
            }
        }
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn what_has_no_draw_has_a_seed_of_its_own() {
        let folded = [
            FRESH,
            SGLD,
            NUTS,
            SGHMC,
            VALUES,
            MOMENTS,
            ACQUISITION,
            CONFORMAL,
            LINK,
            CURVATURE,
            TFB,
        ];
        let seeds: HashSet<_> = folded.iter().chain(&[0]).collect();
        assert_eq!(seeds.len(), folded.len() + 1);
    }

    #[test]
    #[should_panic(expected = "at most 2^30 steps")]
    fn a_step_that_would_meet_the_predictions_is_refused() {
        training(1 << 30, 0, 0);
    }
}
