//! What an update would save that takes the gradient of the drawn weights, in the place of those of μ and ρ.
//!
//! `cargo run --release -p blitz-benches --bin update_passes [ROUNDS]`
//!
//! Three ways to the same numbers, to the bit, of which the library has the first:
//!
//! - **today.** The backward pass of draw and KL reads the weights' gradient, μ and ρ and writes two gradients (5
//!   numbers a weight). Adam walks μ and ρ (14).
//! - **two passes.** μ's step needs neither ρ nor noise, and ρ's needs no μ. Each takes the weights' gradient itself,
//!   so that an optimizer that sees one parameter at a time could take it (14).
//! - **one pass** (13). The noise is made once for either.
//!
//! It times these walks alone, with the library's noise and threads. σ is a stand-in of about softplus's cost. Medians
//! and minima of rounds in which the ways take turns.

use std::mem::take;
use std::time::Instant;

use blitz_benches::median;
use blitz_core::noise::NoiseKey;
use blitz_core::noise::fill::{CHUNK, GROUP, normal_group};
use blitz_core::noise::simd::{Body, InstructionSet};
use clap::Parser;
use example_support::number::at_least;
use rayon::prelude::*;

/// Times what an update would save that takes the gradient of the drawn weights.
#[derive(Debug, Parser)]
struct Options {
    /// Rounds that are timed.
    #[arg(default_value_t = 201, value_parser = at_least::<1>)]
    rounds: usize,
}

/// The weights of 784-400-400-10 and of 784-1200-1200-10, in whole groups.
const SIZES: [usize; 2] = [7_437 * GROUP, 37_218 * GROUP];

const KEY: NoiseKey = NoiseKey::new(1, 2, 3);

/// The factor of the KL in the loss.
const KL: f32 = 1e-4;

/// A number of each element of a group.
type Group = [f32; GROUP];

/// What is done to a group, of inputs, of what the outputs hold, and of ε. `run` has to be `#[inline(always)]`.
trait Kernel<const I: usize, const O: usize>: Copy + Send + Sync {
    const IS_RANDOM: bool;

    fn run(self, inputs: &[Group; I], outputs: &mut [Group; O], normals: &Group);
}

struct Chunk<'a, K, const I: usize, const O: usize> {
    kernel: K,
    first_block: u32,
    inputs: [&'a [f32]; I],
    outputs: [&'a mut [f32]; O],
}

impl<K: Kernel<I, O>, const I: usize, const O: usize> Body for Chunk<'_, K, I, O> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let mut normals: Group = [0.0; GROUP];
        for start in (0..self.outputs[0].len()).step_by(GROUP) {
            let group = start..start + GROUP;
            if K::IS_RANDOM {
                let block = self.first_block + (start / 4) as u32;
                normal_group(KEY, block, &mut normals);
            }
            let mut inputs = [[0.0; GROUP]; I];
            for (to, from) in inputs.iter_mut().zip(&self.inputs) {
                to.copy_from_slice(&from[group.clone()]);
            }
            // What is only written is read all the same: a processor fetches a line before it writes to it.
            let mut outputs = [[0.0; GROUP]; O];
            for (to, from) in outputs.iter_mut().zip(&self.outputs) {
                to.copy_from_slice(&from[group.clone()]);
            }
            self.kernel.run(&inputs, &mut outputs, &normals);
            for (to, from) in self.outputs.iter_mut().zip(&outputs) {
                to[group.clone()].copy_from_slice(from);
            }
        }
    }
}

/// One walk over memory.
fn pass<K: Kernel<I, O>, const I: usize, const O: usize>(
    kernel: K,
    inputs: [&[f32]; I],
    mut outputs: [&mut [f32]; O],
) {
    let len = outputs[0].len();
    let chunks: Vec<_> = (0..len)
        .step_by(CHUNK)
        .map(|start| {
            let end = len.min(start + CHUNK);
            let outputs = outputs.each_mut().map(|rest| {
                let (first, others) = take(rest).split_at_mut(end - start);
                *rest = others;
                first
            });
            Chunk {
                kernel,
                first_block: (start / 4) as u32,
                inputs: inputs.map(|input| &input[start..end]),
                outputs,
            }
        })
        .collect();
    chunks
        .into_par_iter()
        .for_each(|chunk| InstructionSet::widest().run(chunk));
}

/// The gradients in μ, and in ρ, of the weight and of the KL to a standard normal.
#[inline(always)]
fn mu_gradient(grad: f32, mu: f32) -> f32 {
    grad + KL * mu
}

#[inline(always)]
fn rho_gradient(grad: f32, rho: f32, epsilon: f32) -> f32 {
    let root = (rho * rho + 4.0).sqrt();
    let (sigma, slope) = (0.5 * (rho + root), 0.5 + 0.5 * (rho / root));
    slope * (grad * epsilon + KL * sigma) - KL * (slope / sigma)
}

/// The gradients in μ and ρ of a group.
#[inline(always)]
fn gradients(grad: &Group, mu: &Group, rho: &Group, normals: &Group) -> [Group; 2] {
    let mut gradients = [[0.0; GROUP]; 2];
    for i in 0..GROUP {
        gradients[0][i] = mu_gradient(grad[i], mu[i]);
        gradients[1][i] = rho_gradient(grad[i], rho[i], normals[i]);
    }
    gradients
}

/// A step of Adam of a group. The new parameters lie where the gradients lay.
#[inline(always)]
fn adam(parameters: &Group, [grad, moment_1, moment_2]: [&mut Group; 3]) {
    for i in 0..GROUP {
        moment_1[i] = moment_1[i] * 0.9 + grad[i] * 0.1;
        moment_2[i] = moment_2[i] * 0.999 + (grad[i] * grad[i]) * 0.001;
        let delta = (moment_1[i] * 0.1) / (moment_2[i].sqrt() + 1e-5);
        grad[i] = parameters[i] - delta * 1e-3;
    }
}

/// The two gradients.
#[derive(Clone, Copy)]
struct Gradients;

impl Kernel<3, 2> for Gradients {
    const IS_RANDOM: bool = true;

    #[inline(always)]
    fn run(self, [grad, mu, rho]: &[Group; 3], outputs: &mut [Group; 2], normals: &Group) {
        *outputs = gradients(grad, mu, rho, normals);
    }
}

/// Adam over a gradient.
#[derive(Clone, Copy)]
struct Adam;

impl Kernel<1, 3> for Adam {
    const IS_RANDOM: bool = false;

    #[inline(always)]
    fn run(self, [parameters]: &[Group; 1], outputs: &mut [Group; 3], _normals: &Group) {
        adam(parameters, outputs.each_mut());
    }
}

/// Adam's step of μ over the weights' gradient.
#[derive(Clone, Copy)]
struct MuStep;

impl Kernel<1, 3> for MuStep {
    const IS_RANDOM: bool = false;

    #[inline(always)]
    fn run(self, [mu]: &[Group; 1], outputs: &mut [Group; 3], _normals: &Group) {
        for (grad, mu) in outputs[0].iter_mut().zip(mu) {
            *grad = mu_gradient(*grad, *mu);
        }
        adam(mu, outputs.each_mut());
    }
}

/// Adam's step of ρ.
#[derive(Clone, Copy)]
struct RhoStep;

impl Kernel<2, 3> for RhoStep {
    const IS_RANDOM: bool = true;

    #[inline(always)]
    fn run(self, [grad, rho]: &[Group; 2], outputs: &mut [Group; 3], normals: &Group) {
        for i in 0..GROUP {
            outputs[0][i] = rho_gradient(grad[i], rho[i], normals[i]);
        }
        adam(rho, outputs.each_mut());
    }
}

/// Both steps, that of μ over the weights' gradient. A loop for each: the compiler makes slower code of a loop over
/// both.
#[derive(Clone, Copy)]
struct BothSteps;

impl Kernel<2, 6> for BothSteps {
    const IS_RANDOM: bool = true;

    #[inline(always)]
    fn run(self, [mu, rho]: &[Group; 2], outputs: &mut [Group; 6], normals: &Group) {
        let [grad, a, b, rho_grad, c, d] = outputs.each_mut();
        [*grad, *rho_grad] = gradients(grad, mu, rho, normals);
        adam(mu, [grad, a, b]);
        adam(rho, [rho_grad, c, d]);
    }
}

/// What a step reads and writes.
#[derive(Clone)]
struct Posterior {
    /// Of the drawn weights.
    grad: Vec<f32>,
    mu: Vec<f32>,
    rho: Vec<f32>,
    mu_grad: Vec<f32>,
    rho_grad: Vec<f32>,
    moments: [Vec<f32>; 4],
}

impl Posterior {
    fn new(len: usize) -> Self {
        let row = |of: fn(usize) -> usize| (0..len).map(|i| of(i) as f32 / 500.0 - 1.0).collect();
        Self {
            grad: row(|i| i % 997),
            mu: row(|i| i % 1013),
            rho: row(|i| i % 97),
            mu_grad: vec![0.0; len],
            rho_grad: vec![0.0; len],
            moments: std::array::from_fn(|_| vec![0.0; len]),
        }
    }

    /// The new μ lies where its gradient lay, here and in the others.
    fn today(&mut self) {
        let gradients = [&mut self.mu_grad[..], &mut self.rho_grad];
        pass(Gradients, [&self.grad, &self.mu, &self.rho], gradients);
        let [a, b, c, d] = &mut self.moments;
        pass(Adam, [&self.mu], [&mut self.mu_grad, a, b]);
        pass(Adam, [&self.rho], [&mut self.rho_grad, c, d]);
    }

    fn two_passes(&mut self) {
        let [a, b, c, d] = &mut self.moments;
        let inputs = [&self.grad[..], &self.rho];
        pass(RhoStep, inputs, [&mut self.rho_grad, c, d]);
        pass(MuStep, [&self.mu], [&mut self.grad, a, b]);
    }

    fn one_pass(&mut self) {
        let [a, b, c, d] = &mut self.moments;
        let outputs = [&mut self.grad[..], a, b, &mut self.rho_grad, c, d];
        pass(BothSteps, [&self.mu, &self.rho], outputs);
    }
}

type Way = (&'static str, fn(&mut Posterior));

const WAYS: [Way; 3] = [
    ("today", Posterior::today),
    ("two passes", Posterior::two_passes),
    ("one pass", Posterior::one_pass),
];

/// # Panics
///
/// Panics unless all ways end at the same bits.
fn check(start: &Posterior) {
    let ends = WAYS.map(|(name, step)| {
        let mut posterior = start.clone();
        step(&mut posterior);
        let mu = match name {
            "today" => posterior.mu_grad,
            _ => posterior.grad,
        };
        (mu, posterior.rho_grad, posterior.moments)
    });
    assert!(ends.iter().all(|end| *end == ends[0]), "the ways differ");
}

fn main() {
    let Options { rounds } = Options::parse();
    println!("| weights | way | median, ms | minimum | over today, medians |");
    println!("|---|---|---|---|---|");
    for len in SIZES {
        let mut posterior = Posterior::new(len);
        check(&posterior);
        let grad = posterior.grad.clone();
        let mut times = WAYS.map(|_| Vec::with_capacity(rounds));
        for round in 0..rounds + 3 {
            for ((_, step), times) in WAYS.iter().zip(&mut times) {
                // As the product leaves it.
                posterior.grad.copy_from_slice(&grad);
                let start = Instant::now();
                step(&mut posterior);
                if round >= 3 {
                    times.push(1e3 * start.elapsed().as_secs_f64());
                }
            }
        }
        for ((name, _), of_way) in WAYS.iter().zip(&times) {
            println!(
                "| {len} | {name} | {:.2} | {:.2} | {:.2} |",
                median(of_way),
                of_way.iter().copied().fold(f64::INFINITY, f64::min),
                median(of_way) / median(&times[0])
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use blitz_benches::NO_ROUNDS;
    use example_support::program::assert_refused;

    use super::*;

    #[test]
    fn what_is_no_number_of_rounds_is_refused() {
        assert_refused::<Options>(&NO_ROUNDS);
    }
}
