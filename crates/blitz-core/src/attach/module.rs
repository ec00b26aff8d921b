//! How Burn traverses what is attached to a weight.
//!
//! Written by hand for one reason, the constants of posterior and prior: a derived implementation would pass over them,
//! and a record would have none.

use std::fmt;

use burn::module::{
    Content, DisplaySettings, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor,
};
use burn::tensor::Device;

use super::attachment;
use super::variational::Variational;
use crate::draw;
use crate::family::constants::{all_marked, mark};
use crate::family::posterior::Posterior;
use crate::family::prior::Prior;
use crate::fields::{self, SAMPLING};

/// The container type that a derived implementation reports for its fields.
const CONTAINER: &str = "Struct:Variational";

/// The path component of the constants: `fc.weight` has those of its posterior under
/// `fc.weight.bayes.constants.posterior`.
const CONSTANTS: &str = "constants";

impl<Q: Posterior, P: Prior> Variational<Q, P> {
    /// Where the tensors of the constants are made.
    fn device(&self) -> Device {
        let devices = self.prior.collect_devices(self.posterior.devices());
        devices.into_iter().next().unwrap_or_default()
    }

    fn visit_constants<V: ModuleVisitor>(&self, visitor: &mut V) {
        if !all_marked(&self.posterior) {
            return;
        }
        let device = self.device();
        let all = [
            ("posterior", self.posterior.constants()),
            ("prior", self.prior.constants()),
        ];
        visitor.enter_module(CONSTANTS, CONTAINER);
        for (name, constants) in all {
            if let Some(constants) = constants {
                visitor.enter_module(name, CONTAINER);
                constants.visit(visitor, &device);
                visitor.exit_module(name, CONTAINER);
            }
        }
        visitor.exit_module(CONSTANTS, CONTAINER);
    }

    /// After the other fields: a record's tensors tell whether it has constants.
    fn map_constants<M: ModuleMapper>(&mut self, mapper: &mut M) {
        let device = self.device();
        mapper.enter_module(CONSTANTS, CONTAINER);
        if let Some(constants) = self.posterior.constants() {
            mapper.enter_module("posterior", CONTAINER);
            constants.map(mapper, &device, |values| {
                self.posterior.set_constants(values)
            });
            mapper.exit_module("posterior", CONTAINER);
        }
        if let Some(constants) = self.prior.constants() {
            mapper.enter_module("prior", CONTAINER);
            constants.map(mapper, &device, |values| self.prior.set_constants(values));
            mapper.exit_module("prior", CONTAINER);
        }
        mapper.exit_module(CONSTANTS, CONTAINER);
    }
}

impl<Q: Posterior, P: Prior> Module for Variational<Q, P> {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        if draw::is_glance() {
            return;
        }
        if let Some(param) = draw::met() {
            return attachment::hand_over(self, &*param);
        }
        fields::visit(visitor, "posterior", CONTAINER, &self.posterior);
        fields::visit(visitor, "prior", CONTAINER, &self.prior);
        fields::visit(visitor, SAMPLING, CONTAINER, &self.sampling);
        fields::visit(visitor, "mask", CONTAINER, &self.mask);
        self.visit_constants(visitor);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let posterior = fields::map(mapper, "posterior", CONTAINER, self.posterior);
        // A record from before the constants were saved has tensors without the mark.
        let has_constants = all_marked(&posterior);
        let mut mapped = Self {
            posterior: match has_constants {
                true => posterior,
                false => mark(posterior),
            },
            prior: fields::map(mapper, "prior", CONTAINER, self.prior),
            sampling: fields::map(mapper, SAMPLING, CONTAINER, self.sampling),
            mask: fields::map(mapper, "mask", CONTAINER, self.mask),
            unused_row: self.unused_row,
        };
        if has_constants {
            mapped.map_constants(mapper);
        }
        mapped
    }

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        let devices = self.posterior.collect_devices(devices);
        let devices = self.prior.collect_devices(devices);
        self.mask.collect_devices(devices)
    }

    fn to_device(self, device: &Device) -> Self {
        Self {
            posterior: self.posterior.to_device(device),
            prior: self.prior.to_device(device),
            mask: self.mask.to_device(device),
            ..self
        }
    }

    fn fork(self, device: &Device) -> Self {
        Self {
            posterior: self.posterior.fork(device),
            prior: self.prior.fork(device),
            mask: self.mask.fork(device),
            ..self
        }
    }

    fn valid(&self) -> Self {
        Self {
            posterior: self.posterior.valid(),
            prior: self.prior.valid(),
            sampling: self.sampling.valid(),
            mask: self.mask.valid(),
            unused_row: self.unused_row,
        }
    }

    fn train(self) -> Self {
        Self {
            posterior: self.posterior.train(),
            prior: self.prior.train(),
            sampling: self.sampling.train(),
            mask: self.mask.train(),
            unused_row: self.unused_row,
        }
    }

    fn materialize(self) -> Self {
        Self {
            posterior: self.posterior.materialize(),
            prior: self.prior.materialize(),
            mask: self.mask.materialize(),
            ..self
        }
    }
}

impl<Q: Posterior, P: Prior> ModuleDisplayDefault for Variational<Q, P> {
    fn content(&self, content: Content) -> Option<Content> {
        content
            .set_top_level_type("Variational")
            .add("posterior", &self.posterior)
            .add("prior", &self.prior)
            .add(SAMPLING, &self.sampling)
            .add("mask", &self.mask)
            .add_debug_attribute("unused_row", &self.unused_row)
            .optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl<Q: Posterior, P: Prior> ModuleDisplay for Variational<Q, P> {}

impl<Q: Posterior, P: Prior> fmt::Display for Variational<Q, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ModuleDisplay::format(self, DisplaySettings::default()))
    }
}
