//! A module under the names that PyTorch and its Bayesian libraries give to the same parameters.
//!
//! Burn's adapters turn one tensor into one tensor. PyTorch packs the gates of an LSTM or a GRU, and the projections of
//! an attention, into one; its Bayesian libraries have two, mean and ρ, where there is one parameter here. [`Named`]
//! shows a store the parameters as the file has them.

mod entry;
mod names;
mod walk;

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor};
use burn::tensor::{Device, Tensor};

use entry::Entry;
use walk::{Emitter, Survey, map_at, visit_at};

/// The names of a file's parameters, and how they are laid out.
///
/// | | modules | their posteriors |
/// |---|---|---|
/// | [`TorchNn`](Self::TorchNn) | `nn.LSTM`, `nn.GRU`, `nn.RNN`, `nn.MultiheadAttention`: `weight_ih_l0`, `in_proj_weight`, … | none: the means |
/// | [`Blitz`](Self::Blitz) | BLiTZ 0.2.8: `weight_mu`, `weight_rho`, `bias_mu`, `bias_rho` | normal |
/// | [`BayesianTorch`](Self::BayesianTorch) | bayesian-torch 0.5: `mu_weight`, `rho_weight`, `mu_kernel`, `rho_kernel`, `mu_bias`, `rho_bias` | normal |
/// | [`TorchUncertainty`](Self::TorchUncertainty) | torch-uncertainty 0.13: `weight_mu`, `weight_sigma`, `bias_mu`, `bias_sigma` | normal |
///
/// All three write the deviation as σ = ln(1 + e^ρ), as a [`NormalPosterior`](blitz_core::NormalPosterior) does; the
/// file's ρ is taken as it stands. Parameters without a posterior have the names of `torch.nn`, and need the adapters
/// of Burn's stores, which a `PytorchStore` has by itself: `PyTorchToBurnAdapter` to load, `BurnToPyTorchAdapter` to
/// save.
///
/// ```
/// use blitz_layers::prelude::*;
/// use blitz_layers::pytorch::PyTorchNames;
/// use burn::store::{ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore};
/// use burn::tensor::Device;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("blitz-names-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let file = folder.join("lstm.safetensors");
/// let net = BayesianLstmConfig::new(3, 8, true).init(&Device::flex());
/// // A file as `torch.nn.LSTM(3, 8, batch_first=True)` has it.
/// let named = PyTorchNames::TorchNn.of(net.clone());
/// named.save_into(&mut SafetensorsStore::from_file(&file))?;
///
/// let mut store = SafetensorsStore::from_file(&file).with_from_adapter(PyTorchToBurnAdapter);
/// let mut named = PyTorchNames::TorchNn.of(net);
/// let result = named.load_from(&mut store)?;
/// assert_eq!(result.applied.len(), 4); // weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0
/// let net: BayesianLstm = named.into_module(); // its posteriors are as they were
/// # std::fs::remove_dir_all(&folder)?;
/// # let _ = net;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PyTorchNames {
    /// `torch.nn`. Of a Bayesian module, the stored means: what is attached to them stays.
    ///
    /// A GRU of PyTorch applies its reset gate after the product with the weights; load it into one with `reset_after`,
    /// which is the default.
    TorchNn,
    /// BLiTZ 0.2.8.
    Blitz,
    /// bayesian-torch 0.5; an `LSTMReparameterization` too, whose gates are in `ih` and `hh`.
    BayesianTorch,
    /// torch-uncertainty 0.13.
    TorchUncertainty,
}

impl PyTorchNames {
    /// The module under these names: for `load_from` and `save_into`, with Burn's stores. As with Burn's own, the
    /// running statistics of a batch norm are loaded into those that clones of the module share.
    ///
    /// With the names of a Bayesian library, mean and ρ of each weight that has a
    /// [`NormalPosterior`](blitz_core::NormalPosterior) by configuration are two parameters, and its prior none. A
    /// posterior of another family keeps its own names, which no such file has: loading fails.
    ///
    /// **Parts that the module lacks.** A tensor of the file holds all gates of a cell, or all projections of an
    /// attention. If the module lacks one, as an LSTM with `input_forget` lacks a gate and an attention without
    /// `value_bias` a bias, the others keep Burn's names: loading fails, and what is written is no file of PyTorch's.
    ///
    /// **Types of your own** are told from Burn's by their names. One that is called `MultiHeadAttention` is packed if
    /// it has Burn's four matrices, `query`, `key`, `value` and `output`, all of one square shape. Gates are packed if
    /// they are of one shape. Otherwise these parameters keep their own names; PyTorch's `q_proj_weight`,
    /// `k_proj_weight` and `v_proj_weight` are a matter of the store's key remapping.
    ///
    /// **Pruned weights** ([`prune_by_signal_to_noise`](blitz_core::BayesianModule::prune_by_signal_to_noise)) are
    /// written as the network computes with them: a mean of zero, and a ρ of −40. They stay pruned, and as they are,
    /// whatever a file has in their places.
    ///
    /// **An embedding's padding** has means of zero and a ρ like the others: a library that knows no padding draws it.
    pub fn of<M: Module>(self, module: M) -> Named<M> {
        Named {
            module,
            names: self,
        }
    }
}

/// A module under other names. Made by [`PyTorchNames::of`].
#[derive(Clone, Debug)]
pub struct Named<M> {
    module: M,
    names: PyTorchNames,
}

impl<M: Module> Named<M> {
    /// The module itself, with what was loaded.
    pub fn into_module(self) -> M {
        self.module
    }

    /// The parameters as they are, and those of the file.
    fn entries(&self) -> (Survey, Vec<Entry>) {
        let survey = Survey::of(&self.module);
        let entries = names::entries(self.names, &survey.places);
        (survey, entries)
    }
}

/// Calls a method with the entry's rank, or panics.
macro_rules! by_rank {
    ($entry:expr, $call:ident($($argument:expr),*)) => {
        match $entry.rank() {
            1 => $call::<1, _>($($argument),*),
            2 => $call::<2, _>($($argument),*),
            3 => $call::<3, _>($($argument),*),
            4 => $call::<4, _>($($argument),*),
            5 => $call::<5, _>($($argument),*),
            6 => $call::<6, _>($($argument),*),
            rank => unreachable!("a parameter of rank {rank}"),
        }
    };
}

fn visit_entry<const D: usize, V: ModuleVisitor>(entry: &Entry, survey: &Survey, visitor: &mut V) {
    let param = entry.param::<D>(survey);
    visit_at(visitor, &entry.steps, |visitor| visitor.visit_float(&param));
}

fn map_entry<const D: usize, T: ModuleMapper>(
    entry: &Entry,
    survey: &Survey,
    mapper: &mut T,
) -> Vec<(String, Tensor<1>)> {
    let param = entry.param::<D>(survey);
    let given = param.val();
    let param = map_at(mapper, &entry.steps, |mapper| mapper.map_float(param));
    let mapped = param.val();
    // What a mapper left alone stays as it is: two biases of one sum are not shared out anew.
    if given.to_data() == mapped.to_data() {
        return Vec::new();
    }
    entry.apart(mapped, survey)
}

impl<M: Module> Module for Named<M> {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        let (survey, entries) = self.entries();
        for entry in &entries {
            by_rank!(entry, visit_entry(entry, &survey, visitor));
        }
        let values = HashMap::new();
        let mut emitter = Emitter::new(self.names, &entries, values, survey.pruned, visitor);
        self.module.visit(&mut emitter);
    }

    fn map<T: ModuleMapper>(self, mapper: &mut T) -> Self {
        let (survey, entries) = self.entries();
        let mut values = HashMap::new();
        for entry in &entries {
            values.extend(by_rank!(entry, map_entry(entry, &survey, mapper)));
        }
        let Survey { pruned, .. } = survey;
        let names = self.names;
        let mut emitter = Emitter::new(names, &entries, values, pruned, mapper);
        names.of(self.module.map(&mut emitter))
    }

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.module.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        self.names.of(self.module.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.names.of(self.module.to_device(device))
    }

    fn train(self) -> Self {
        self.names.of(self.module.train())
    }

    fn valid(&self) -> Self {
        self.names.of(self.module.valid())
    }

    fn materialize(self) -> Self {
        self.names.of(self.module.materialize())
    }
}
