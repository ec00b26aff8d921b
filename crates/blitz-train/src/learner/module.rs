//! How Burn traverses a model.
//!
//! Written by hand for one reason, the constants of the likelihood: a derived implementation would pass over them, and
//! a record would have none.

use std::convert::Infallible;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::OnceLock;

use blitz_layers::blitz_core::{BayesianModule, BayesianSummary, Constants, fields};
use burn::module::{
    Content, DisplaySettings, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor,
};
use burn::tensor::Device;

use super::ElboModel;
use crate::checkpoint::{FloatTypes, Retyped, in_saved_layout};
use crate::error::CheckpointError;
use crate::likelihood::Likelihood;
use crate::module_state::forked;
#[cfg(feature = "train")]
use crate::module_state::weight_not_finite;
use crate::network::Network;

/// The container type that a derived implementation reports for its fields.
const CONTAINER: &str = "Struct:ElboModel";

/// The path of the likelihood's constants, before the name of its family.
const CONSTANTS: [&str; 2] = ["constants", "likelihood"];

impl<N: Network, L: Likelihood> Module for ElboModel<N, L> {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        // First, so that a record ends as it did before it had them.
        if let Some(constants) = self.likelihood.constants() {
            for name in CONSTANTS {
                visitor.enter_module(name, CONTAINER);
            }
            constants.visit(visitor, &self.steps.lazy_device());
            for name in CONSTANTS {
                visitor.exit_module(name, CONTAINER);
            }
        }
        fields::visit(visitor, "network", CONTAINER, &self.network);
        fields::visit(visitor, "likelihood", CONTAINER, &self.likelihood);
        fields::visit(visitor, "steps", CONTAINER, &self.steps);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        #[cfg(feature = "train")]
        let is_record = self.training.is_mapped();
        #[cfg(not(feature = "train"))]
        let is_record = false;
        let own_types = is_record.then(|| FloatTypes::of(&self));
        let mut map = |network| fields::map(mapper, "network", CONTAINER, network);
        let network = match is_record {
            true => in_saved_layout(self.network, |network| Ok::<_, Infallible>(map(network))),
            false => Ok(map(self.network)),
        };
        let Ok(network) = network;
        let mut mapped = Self {
            network,
            likelihood: fields::map(mapper, "likelihood", CONTAINER, self.likelihood),
            steps: fields::map(mapper, "steps", CONTAINER, self.steps),
            // The mapper may have loaded a record.
            known_steps: OnceLock::new(),
            ..self
        };
        // A record from before the constants were saved has step counts without the mark.
        let has_constants = Constants::is_marked(mapped.steps.id);
        mapped.steps.id = Constants::mark(mapped.steps.id);
        if let Some(constants) = mapped.likelihood.constants()
            && has_constants
        {
            let device = mapped.steps.lazy_device();
            for name in CONSTANTS {
                mapper.enter_module(name, CONTAINER);
            }
            constants.map(mapper, &device, |values| {
                mapped.likelihood.set_constants(values)
            });
            for name in CONSTANTS {
                mapper.exit_module(name, CONTAINER);
            }
        }
        if let Some(Retyped { path, had, has }) = own_types.and_then(|own| own.first_other(&mapped))
        {
            // Burn asks a model for no error here. `fit` finds this one, and no hook hears of it.
            resume_unwind(Box::new(CheckpointError::of_types(&path, has, had)));
        }
        mapped
    }

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        let devices = self.network.collect_devices(devices);
        let devices = self.likelihood.collect_devices(devices);
        self.steps.collect_devices(devices)
    }

    fn to_device(self, device: &Device) -> Self {
        Self {
            network: self.network.with_weights_apart().to_device(device),
            likelihood: self.likelihood.to_device(device),
            steps: self.steps.to_device(device),
            ..self
        }
        .retied()
    }

    fn fork(self, device: &Device) -> Self {
        #[cfg(feature = "train")]
        self.training.begin();
        Self {
            network: forked(self.network.with_weights_apart(), device),
            likelihood: self.likelihood.fork(device),
            steps: self.steps.fork(device),
            ..self
        }
        .retied()
    }

    fn valid(&self) -> Self {
        #[cfg(feature = "train")]
        self.training.validates(|| weight_not_finite(self));
        Self {
            network: self.network.valid(),
            likelihood: self.likelihood.valid(),
            steps: self.steps.valid(),
            known_steps: self.known_steps.clone(),
            elbo: self.elbo.clone(),
            #[cfg(feature = "train")]
            updates: self.updates.clone(),
            #[cfg(feature = "train")]
            training: self.training.clone(),
        }
    }

    fn train(self) -> Self {
        Self {
            network: self.network.with_weights_apart().train(),
            likelihood: self.likelihood.train(),
            steps: self.steps.train(),
            ..self
        }
        .retied()
    }

    fn materialize(self) -> Self {
        Self {
            network: self.network.materialize(),
            likelihood: self.likelihood.materialize(),
            steps: self.steps.materialize(),
            ..self
        }
    }
}

impl<N: Network, L: Likelihood> ModuleDisplayDefault for ElboModel<N, L> {
    fn content(&self, content: Content) -> Option<Content> {
        let content = content
            .set_top_level_type("ElboModel")
            .add("network", &self.network)
            .add("bayesian", &bayesian(&self.network.bayesian_summary()))
            .add("likelihood", &self.likelihood)
            .add_debug_attribute("elbo", self.elbo.config());
        #[cfg(feature = "train")]
        let content = match self.updates.is_empty() {
            true => content,
            false => content.add_debug_attribute("updates", &self.updates),
        };
        content.add("steps", &self.steps().to_string()).optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl<N: Network, L: Likelihood> ModuleDisplay for ElboModel<N, L> {}

impl<N: Network, L: Likelihood> fmt::Display for ElboModel<N, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ModuleDisplay::format(self, DisplaySettings::default()))
    }
}

/// A line on what is Bayesian in a network: layers of Burn's don't say it.
fn bayesian(summary: &BayesianSummary) -> String {
    let tensors = summary.bayesian.len() + summary.deterministic.len();
    match summary.bayesian.len() {
        0 => format!("none of {tensors} tensors"),
        some => format!(
            "{some} of {tensors} tensors, posterior: {}, prior: {}",
            summary.posteriors().join(" and "),
            summary.priors().join(" and ")
        ),
    }
}
