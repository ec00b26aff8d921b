//! One chain: the density as nuts-rs sees it, and its draws.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::Tensor;
use nuts_rs::{
    Chain as _, CpuLogpFunc, CpuMath, CpuMathError, DiagNutsSettings, HasDims, LogpError, Settings,
};

use crate::density::LogDensity;
use crate::draws::{ChainDraws, DrawStats};

/// A point where the density is not finite: the trajectory diverged there.
#[derive(Debug, thiserror::Error)]
#[error("the log density is not finite")]
pub(super) struct NotFinite;

impl LogpError for NotFinite {
    fn is_recoverable(&self) -> bool {
        true
    }
}

struct Function<'a, N, F>(&'a LogDensity<N, F>);

impl<N: Module, F: Fn(&N) -> Tensor<1>> HasDims for Function<'_, N, F> {
    fn dim_sizes(&self) -> HashMap<String, u64> {
        let name = "unconstrained_parameter".to_string();
        HashMap::from([(name, self.0.len() as u64)])
    }
}

impl<N: Module, F: Fn(&N) -> Tensor<1>> CpuLogpFunc for Function<'_, N, F> {
    type LogpError = NotFinite;
    type FlowParameters = ();
    type ExpandedVector = ();

    fn dim(&self) -> usize {
        self.0.len()
    }

    fn logp(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, NotFinite> {
        let value = self.0.evaluate(position, gradient);
        match value.is_nan() {
            true => Err(NotFinite),
            false => Ok(value),
        }
    }

    fn expand_vector<R: nuts_rs::rand::Rng + ?Sized>(
        &mut self,
        _rng: &mut R,
        _position: &[f64],
    ) -> Result<(), CpuMathError> {
        Ok(())
    }
}

/// What a chain tells after each draw.
pub(super) struct Step {
    pub done: usize,
    pub warming_up: bool,
    pub stats: DrawStats,
}

/// The draws of a chain after its warm-up, unless `go_on` says to stop.
pub(super) fn sample<N: Module, F: Fn(&N) -> Tensor<1>>(
    density: &LogDensity<N, F>,
    settings: &DiagNutsSettings,
    number: usize,
    start: &[f64],
    rng: &mut impl nuts_rs::rand::Rng,
    mut go_on: impl FnMut(&Step) -> bool,
) -> Result<Option<ChainDraws>, String> {
    // With its causes.
    let said = |error: &dyn std::fmt::Display| format!("{error:#}");
    let math = CpuMath::new(Function(density));
    let mut sampler = settings
        .new_chain(number as u64, math, rng)
        .map_err(|error| said(&error))?;
    sampler.set_position(start).map_err(|error| said(&error))?;
    let (warm_up, draws) = (settings.num_tune as usize, settings.num_draws as usize);
    // It grows with the draws: whoever asks for many may stop before the last.
    let mut chain = ChainDraws {
        positions: Vec::new(),
        stats: Vec::new(),
    };
    for done in 1..=warm_up + draws {
        let (position, _, stats, _) = sampler.expanded_draw().map_err(|error| said(&error))?;
        let stats = DrawStats {
            log_density: stats.point.logp,
            energy: stats.point.energy,
            step_size: stats.hamiltonian.step_size,
            tree_depth: stats.depth,
            leapfrogs: stats.adapt.step_size.n_steps,
            acceptance: stats.adapt.step_size.mean_tree_accept,
            diverging: stats.divergence.diverging,
        };
        let warming_up = done <= warm_up;
        if !warming_up {
            chain.positions.extend_from_slice(&position);
            chain.stats.push(stats);
        }
        let step = Step {
            done,
            warming_up,
            stats,
        };
        if !go_on(&step) {
            return Ok(None);
        }
    }
    Ok(Some(chain))
}
