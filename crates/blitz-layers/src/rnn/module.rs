//! How Burn traverses a stack of recurrent layers.
//!
//! Written by hand for one reason, the paths: a derived implementation would put the first layer's gates at
//! `layers.0.forward.input_gate`, and a record of Burn's `Lstm`, which has them at `input_gate`, would not load.

use burn::module::{
    Content, DisplaySettings, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor,
};
use burn::tensor::Device;

use super::{Recurrent, RecurrentCell, RecurrentLayer};
use crate::weights::add_families;

/// The container type that Burn's derived modules report for their fields.
const CONTAINER: &str = "Struct:Recurrent";

impl<C: RecurrentCell> Recurrent<C> {
    fn map_layers(self, f: impl FnMut((usize, RecurrentLayer<C>)) -> RecurrentLayer<C>) -> Self {
        Self {
            layers: self.layers.into_iter().enumerate().map(f).collect(),
            ..self
        }
    }
}

impl<C: RecurrentCell> Module for Recurrent<C> {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (index, layer) in self.layers.iter().enumerate() {
            if index == 0 {
                layer.visit(visitor);
                continue;
            }
            let index = index.to_string();
            visitor.enter_module("layers", CONTAINER);
            visitor.enter_module(&index, "Vec");
            layer.visit(visitor);
            visitor.exit_module(&index, "Vec");
            visitor.exit_module("layers", CONTAINER);
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        self.map_layers(|(index, layer)| {
            if index == 0 {
                return layer.map(mapper);
            }
            let index = index.to_string();
            mapper.enter_module("layers", CONTAINER);
            mapper.enter_module(&index, "Vec");
            let layer = layer.map(mapper);
            mapper.exit_module(&index, "Vec");
            mapper.exit_module("layers", CONTAINER);
            layer
        })
    }

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        let collect = |devices, layer: &RecurrentLayer<C>| layer.collect_devices(devices);
        self.layers.iter().fold(devices, collect)
    }

    fn fork(self, device: &Device) -> Self {
        self.map_layers(|(_, layer)| layer.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.map_layers(|(_, layer)| layer.to_device(device))
    }

    fn train(self) -> Self {
        self.map_layers(|(_, layer)| layer.train())
    }

    fn valid(&self) -> Self {
        self.clone().map_layers(|(_, layer)| layer.valid())
    }

    fn materialize(self) -> Self {
        self.map_layers(|(_, layer)| layer.materialize())
    }
}

impl<C: RecurrentCell> RecurrentLayer<C> {
    fn map_cells(self, mut f: impl FnMut(C) -> C) -> Self {
        Self {
            forward: f(self.forward),
            reverse: self.reverse.map(f),
        }
    }
}

impl<C: RecurrentCell> Module for RecurrentLayer<C> {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        let Some(reverse) = &self.reverse else {
            return self.forward.visit(visitor);
        };
        for (name, cell) in [("forward", &self.forward), ("reverse", reverse)] {
            visitor.enter_module(name, CONTAINER);
            cell.visit(visitor);
            visitor.exit_module(name, CONTAINER);
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let Some(reverse) = self.reverse else {
            return Self {
                forward: self.forward.map(mapper),
                reverse: None,
            };
        };
        let [forward, reverse] =
            [("forward", self.forward), ("reverse", reverse)].map(|(name, cell)| {
                mapper.enter_module(name, CONTAINER);
                let cell = cell.map(mapper);
                mapper.exit_module(name, CONTAINER);
                cell
            });
        Self {
            forward,
            reverse: Some(reverse),
        }
    }

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.cells()
            .fold(devices, |devices, cell| cell.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        self.map_cells(|cell| cell.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.map_cells(|cell| cell.to_device(device))
    }

    fn train(self) -> Self {
        self.map_cells(C::train)
    }

    fn valid(&self) -> Self {
        Self {
            forward: self.forward.valid(),
            reverse: self.reverse.as_ref().map(C::valid),
        }
    }

    fn materialize(self) -> Self {
        self.map_cells(C::materialize)
    }
}

impl<C: RecurrentCell> ModuleDisplayDefault for Recurrent<C> {
    fn content(&self, content: Content) -> Option<Content> {
        let cell = &self.layers[0].forward;
        let content = content
            .set_top_level_type(C::LAYER)
            .add("d_input", &cell.d_input())
            .add("d_hidden", &cell.d_hidden())
            .add("bias", &cell.has_bias())
            .add("num_layers", &self.num_layers())
            .add("bidirectional", &self.is_bidirectional());
        add_families(content, self)
            .add_debug_attribute("estimator", &self.estimator)
            .optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl<C: RecurrentCell> ModuleDisplay for Recurrent<C> {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }
}

impl<C: RecurrentCell> std::fmt::Display for Recurrent<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&ModuleDisplay::format(self, DisplaySettings::default()))
    }
}
