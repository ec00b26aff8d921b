//! How far each way is from the posterior itself.

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Tensor;
use example_support::methods::{Data, Method, Task};
use example_support::{LeftOut, NotFiniteScore, RunFolder, as_text, say};
use serde::Serialize;

use crate::sampling::{Chains, Gold};

/// One way, as a line of a table.
pub trait Line: fmt::Display + Serialize {
    /// The lines above.
    fn header(f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// Of all ways.
#[derive(Debug, Serialize)]
pub struct Report<D> {
    /// One for each way, that of NUTS first.
    pub distances: Vec<D>,
    /// Ways that predict no numbers, and files that can't be written.
    pub left_out: Vec<LeftOut>,
    /// The chains.
    #[serde(flatten)]
    pub chains: Chains,
    /// Where the pictures and the draws are.
    #[serde(serialize_with = "as_text")]
    pub folder: PathBuf,
}

impl<D> Report<D> {
    /// Of all ways, with those that are left out, and the chains.
    pub fn new<N: Module, P>(
        distances: Vec<D>,
        mut left_out: Vec<LeftOut>,
        gold: Gold<N, P>,
        folder: &RunFolder,
    ) -> Self {
        let chains = gold.chains();
        left_out.extend(gold.left_out);
        Self {
            distances,
            left_out,
            chains,
            folder: folder.path().into(),
        }
    }
}

/// That of NUTS and those of the faster ways, which are trained and predict at `at`: `distance` is told the name of
/// each, what it predicts and its seconds. Besides, those that predict nothing, or something whose score is not finite.
pub fn with_faster_ways<T: Task, D>(
    of_gold: D,
    methods: &[Method],
    data: Data<'_, T>,
    at: &Tensor<2>,
    mut distance: impl FnMut(String, T::Predictive, f64) -> Result<D, NotFiniteScore>,
) -> (Vec<D>, Vec<LeftOut>) {
    let (mut distances, mut left_out) = (vec![of_gold], Vec::new());
    for method in methods {
        let name = method.name();
        let start = Instant::now();
        let fitted = method.fit_by_default(data);
        let compared = match fitted.and_then(|predict| Ok(predict(at)?)) {
            Ok(predictive) => {
                let seconds = start.elapsed().as_secs_f64();
                say!("{name}: {seconds:.1} s");
                distance(name.clone(), predictive, seconds).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match compared {
            Ok(distance) => distances.push(distance),
            Err(error) => left_out.push(LeftOut::new(name, data.seed, error)),
        }
    }
    (distances, left_out)
}

impl<D: Line> fmt::Display for Report<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        D::header(f)?;
        for distance in &self.distances {
            writeln!(f, "  {distance}")?;
        }
        for left_out in &self.left_out {
            writeln!(f, "\n  left out: {left_out}")?;
        }
        let chains = &self.chains;
        writeln!(
            f,
            "\n  {} chains of {} draws, {} divergences; predictions: R-hat up to {:.3}, effective draws from {:.0}",
            chains.chains, chains.draws, chains.divergences, chains.largest_r_hat, chains.least_ess
        )?;
        write!(f, "  pictures and draws   {}", self.folder.display())
    }
}
