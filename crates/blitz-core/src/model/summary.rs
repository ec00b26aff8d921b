//! Which weights of a module are Bayesian, and by which families: what Burn's own display of its layers has no place
//! for.

use std::fmt;

use burn::module::Module;

use crate::attach::Walk;

/// The weights of a module, with and without a posterior, from
/// [`BayesianModule::bayesian_summary`](crate::BayesianModule::bayesian_summary); prints as a table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BayesianSummary {
    /// The weights that have a posterior, in the order of the module's traversal; one that is tied once.
    pub bayesian: Vec<BayesianWeight>,
    /// The paths of all other tensors, the running statistics of a norm among them.
    pub deterministic: Vec<String>,
    /// The paths of those weights whose posteriors hold another reparameterization inside. None, as a rule: a posterior
    /// with a matrix among its parameters, such as one of low rank, has one if LoRA was applied after `bayesianize`.
    pub adapted_inside: Vec<String>,
}

/// A weight tensor that has a posterior.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BayesianWeight {
    /// The path of the weight, e.g. `"encoder.linear1.weight"`; the first one of a weight that is tied.
    pub path: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The name of its posterior, as in `PosteriorConfig`. A type of your own has its type's name, or `own` if it has
    /// no parameters.
    pub posterior: String,
    /// The name of its prior, likewise.
    pub prior: String,
    /// Whether its mean trains. Burn's LoRA freezes every parameter that there is, those of posteriors too.
    pub mean_trains: bool,
}

impl BayesianSummary {
    /// The names of the posteriors, each once, in the order in which they come.
    pub fn posteriors(&self) -> Vec<&str> {
        once(self.bayesian.iter().map(|weight| weight.posterior.as_str()))
    }

    /// The names of the priors, likewise.
    pub fn priors(&self) -> Vec<&str> {
        once(self.bayesian.iter().map(|weight| weight.prior.as_str()))
    }
}

fn once<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct: Vec<&str> = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

impl fmt::Display for BayesianSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["weight", "shape", "posterior", "prior"].map(String::from);
        let rows = self.bayesian.iter().map(|weight| {
            let shape = weight.shape.iter().map(ToString::to_string);
            let shape = shape.collect::<Vec<_>>().join(" x ");
            [
                weight.path.clone(),
                shape,
                weight.posterior.clone(),
                weight.prior.clone(),
            ]
        });
        let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        };
        let widths = [width(0), width(1), width(2)];
        for [path, shape, posterior, prior] in &rows {
            let [a, b, c] = widths;
            writeln!(f, "{path:<a$}  {shape:<b$}  {posterior:<c$}  {prior}")?;
        }
        match self.deterministic.as_slice() {
            [] => write!(f, "no other weights")?,
            paths => write!(f, "without a posterior: {}", paths.join(", "))?,
        }
        let frozen = self.bayesian.iter().filter(|weight| !weight.mean_trains);
        let frozen: Vec<_> = frozen.map(|weight| weight.path.as_str()).collect();
        match frozen.as_slice() {
            [] => Ok(()),
            paths => write!(
                f,
                "\nwith a frozen mean: {} (Burn's `apply_lora` freezes as `freeze` does, and comes before `bayesianize`)",
                paths.join(", ")
            ),
        }
    }
}

pub(super) fn of<M: Module>(module: &M) -> BayesianSummary {
    let (bayesian, others): (Vec<_>, Vec<_>) = Walk::of(module)
        .weights
        .into_iter()
        .partition(|weight| weight.posterior().is_some());
    let adapted = bayesian
        .iter()
        .filter(|weight| weight.inside_posterior.is_some())
        .map(|weight| weight.path().to_string())
        .collect();
    let own = || "own".to_string();
    let bayesian = bayesian.into_iter().map(|weight| BayesianWeight {
        path: weight.path().to_string(),
        shape: weight.shape.to_vec(),
        posterior: weight.families.posterior.unwrap_or_else(own),
        prior: weight.families.prior.unwrap_or_else(own),
        mean_trains: weight.trains,
    });
    let deterministic = others.iter().map(|weight| weight.path().to_string());
    BayesianSummary {
        bayesian: bayesian.collect(),
        deterministic: deterministic.collect(),
        adapted_inside: adapted,
    }
}
