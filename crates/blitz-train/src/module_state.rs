//! A module with its layers in another state, and all else as it was: what Burn's own `valid`, `train`, `fork` and
//! clones change besides.

use std::any::Any;
use std::collections::{HashMap, VecDeque};

#[cfg(feature = "train")]
use blitz_layers::blitz_core::{VisitAt, visit_by_path};
use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Bool, DType, Device, Int, Tensor};

/// The module with its layers as in prediction, and its weights where they are: on the autodiff graph, if they are on
/// it.
///
/// `valid()` does both, takes the weights off the graph and switches layers, and so leaves no gradient. What a layer of
/// Burn's asks is whether its input is on an autodiff device *and* whether its own flag is on: dropout, noise,
/// randomized activations and batch norm. So it is enough to switch the flags. Those of a layer that is random in
/// prediction too, such as Monte Carlo dropout, look at what is configured, which stays.
///
/// The running statistics of a batch norm are shared with `module`, and nothing moves them.
pub(crate) fn as_in_prediction<M: Module>(module: &M) -> M {
    struct Switch;

    impl ModuleMapper for Switch {
        fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
            flag.valid()
        }
    }

    // A batch norm keeps the latest update of its statistics apart, and takes it in here.
    drop(module.valid());
    module.clone().map(&mut Switch)
}

/// The module with running statistics of its own, equal in everything else.
///
/// Burn's clones share those of a batch norm: training one moves them in all, and so do a record that is loaded into
/// one and a move to another device. New ones are made by `valid()` and `train()` alone, so this is them, with what
/// else they change put back: parameters, their place on the graph, and flags.
pub(crate) fn with_own_statistics<M: Module>(module: &M) -> M {
    // The latest update of a batch norm is kept apart, and taken in here.
    let own = module.valid();
    let mut given = Given::default();
    module.visit(&mut given);
    let trains = module.devices().iter().any(Device::is_autodiff);
    let own = if trains { own.train() } else { own };
    own.map(&mut given)
}

/// The path of the first weight that trains and has a number in it that is not finite.
#[cfg(feature = "train")]
pub(crate) fn weight_not_finite<M: Module>(module: &M) -> Option<String> {
    struct Look(Option<String>);

    impl VisitAt for Look {
        fn visit_at<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
            let weights = param.base();
            if self.0.is_some() || !weights.is_require_grad() {
                return;
            }
            let finite = weights.without_autodiff().is_finite().all();
            if !finite.into_scalar::<bool>() {
                self.0 = Some(path.to_string());
            }
        }
    }

    let mut look = Look(None);
    visit_by_path(module, &mut look);
    look.0
}

/// The module on `device` for a training, as Burn's `fork` makes it, with weights of few bits left as they are.
///
/// `fork` detaches, and to detach a quantized tensor is to make a dense one of it: the base of a QLoRA would take its
/// full memory from then on, and be saved as another base.
pub(crate) fn forked<M: Module>(module: M, device: &Device) -> M {
    /// The packed parameters by their places in the traversal: an id may be that of a dense copy as well.
    struct Packed<'a> {
        kept: VecDeque<(usize, Box<dyn Any>)>,
        place: usize,
        device: &'a Device,
    }

    impl ModuleVisitor for Packed<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if matches!(param.base().dtype(), DType::QFloat(_)) {
                let kept = param.clone().to_device(self.device);
                self.kept.push_back((self.place, Box::new(kept)));
            }
            self.place += 1;
        }
    }

    impl ModuleMapper for Packed<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let kept = self.kept.pop_front_if(|(place, _)| *place == self.place);
            self.place += 1;
            let kept = kept.and_then(|(_, kept)| kept.downcast().ok());
            kept.map_or(param, |kept| *kept)
        }
    }

    let mut packed = Packed {
        kept: VecDeque::new(),
        place: 0,
        device,
    };
    module.visit(&mut packed);
    let module = module.fork(device);
    if packed.kept.is_empty() {
        return module;
    }
    packed.place = 0;
    module.map(&mut packed)
}

/// The parameters of a module by their identities, those of one identity in the order in which they are met.
#[derive(Default)]
struct Given(HashMap<ParamId, VecDeque<Box<dyn Any>>>);

impl Given {
    fn keep<P: Clone + 'static>(&mut self, id: ParamId, param: &P) {
        let of_id = self.0.entry(id).or_default();
        of_id.push_back(Box::new(param.clone()));
    }

    /// The one that was kept, or `param` where none was.
    fn take<P: 'static>(&mut self, id: ParamId, param: P) -> P {
        let kept = self.0.get_mut(&id).and_then(VecDeque::pop_front);
        let kept = kept.and_then(|kept| kept.downcast().ok());
        kept.map_or(param, |kept| *kept)
    }
}

impl ModuleVisitor for Given {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.keep(param.id, param);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.keep(param.id, param);
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.keep(param.id, param);
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.keep(flag.id, flag);
    }
}

impl ModuleMapper for Given {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.take(param.id, param)
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        self.take(param.id, param)
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        self.take(param.id, param)
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.take(flag.id, flag)
    }
}
