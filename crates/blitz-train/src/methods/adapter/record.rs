//! Files of what was trained beside a frozen network, which know the network that they belong to.

use std::collections::HashSet;
use std::path::Path;

use blitz_layers::blitz_core::fields::ATTACHED;
use blitz_layers::blitz_core::{VisitAt, refused_constants, trains, visit_by_path};
use burn::module::{Flag, Module, ModuleDisplay, ModuleVisitor, Param, ParamGroup};
use burn::store::ModuleRecord;
use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use sha2::{Digest, Sha256};

use super::error::AdapterError;
use super::factors::{adapters, is_lora, path};
use crate::checkpoint::{self, in_saved_layout};
use crate::error::CheckpointError;
use crate::module_state::with_own_statistics;

/// The bytes of a parameter's digest that a file keeps.
const DIGEST: usize = 8;

/// Why an adapter can't be saved or loaded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterFileError {
    /// The network has no adapters, or none that can be used.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The file can't be written or read, or its bytes are not those that were written.
    #[error(transparent)]
    File(#[from] CheckpointError),
    /// The file is of an adapter for a network with another value in a parameter that is frozen, or with another
    /// parameter.
    #[error("{file} is an adapter for another base: {difference}")]
    OtherBase {
        /// The file.
        file: String,
        /// The first parameter that differs.
        difference: String,
    },
    /// The file is of this base, as far as both freeze it, and of other adapters, or more or fewer parameters train
    /// beside them.
    #[error("{file} is of other adapters: {difference}")]
    OtherAdapter {
        /// The file.
        file: String,
        /// What differs.
        difference: String,
    },
}

/// Saves what trains of a network with adapters: their factors, other parameters that train, such as a head, the
/// posteriors of both, what else is attached to a weight and trains, be the weight frozen, and running states, such as
/// the statistics of batch norms. The frozen base is left out.
///
/// A running state of a layer of your own may move whatever is frozen, so it is always in the file. `apply_lora`
/// freezes the parameters of a batch norm and leaves it in training, where its statistics move. Call Burn's `freeze`
/// before, and they are part of the base.
///
/// The file is a Burn record, with digests of the parameters of the base, and has a digest of its own beside it
/// (`.sha256`). [`load_adapter`] reads it.
///
/// To have one network in place of base and adapter, merge them:
/// [`mean_network`](blitz_layers::blitz_core::BayesianModule::mean_network) has the means of the posteriors,
/// [`sample_network`](blitz_layers::blitz_core::BayesianModule::sample_network) one draw, and Burn's `materialize` is
/// enough for a network without a posterior.
///
/// ```
/// use blitz_train::{BlobConfig, load_adapter, save_adapter};
/// use blitz_train::prelude::*;
/// use burn::module::{Lora, Module};
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("blitz-adapter-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let device = Device::flex();
/// let base = LinearConfig::new(64, 64).init(&device);
/// let adapted = || BlobConfig::new().attach(base.clone().apply_lora(Lora::new(2, 4.0)));
/// let net = adapted()?;
/// save_adapter(&net, folder.join("mine"))?;
///
/// let loaded = load_adapter(adapted()?, folder.join("mine"))?;
/// let draw = |net: &burn::nn::Linear| net.sample_network(1, 0).weight.val().into_data();
/// assert_eq!(draw(&loaded), draw(&net));
///
/// let other = LinearConfig::new(64, 64).init(&device).apply_lora(Lora::new(2, 4.0));
/// let refused = load_adapter(BlobConfig::new().attach(other)?, folder.join("mine")).unwrap_err();
/// assert!(refused.to_string().contains("is an adapter for another base: weight differs"));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Returns an error if there is no adapter or one that can't be used, and if a file can't be written: one that was
/// there before is still there then.
pub fn save_adapter<M: Module + ModuleDisplay>(
    module: &M,
    path: impl AsRef<Path>,
) -> Result<(), AdapterFileError> {
    let path = checkpoint::with_extension(path.as_ref());
    let (saved, group) = Saved::of(module.clone())?;
    let record = saved.into_record_group(group);
    let write = |part: &Path| record.save(part).map_err(std::io::Error::other);
    checkpoint::put_sealed_by(&path, write)
        .map_err(|reason| CheckpointError::not_written(&path, reason))?;
    Ok(())
}

/// The network with what [`save_adapter`] has written. It has to have been through the same calls: `apply_lora`, and
/// what attached its posteriors.
///
/// The base is known by the parameters of `module` that are frozen. Fields that are no parameters are not seen, such as
/// the heads of an attention or the names of classes, nor is what `module` does not hold, such as layers that were run
/// before: a frozen parameter with a digest of it makes it a part of the base.
///
/// # Errors
///
/// Returns an error if the file is missing or damaged, and if it is of another base or of other adapters; it names the
/// file and the first parameter that differs.
pub fn load_adapter<M: Module + ModuleDisplay>(
    module: M,
    path: impl AsRef<Path>,
) -> Result<M, AdapterFileError> {
    let path = checkpoint::with_extension(path.as_ref());
    // The file has those that moved in training, and would be read into every clone of the base.
    let (saved, group) = Saved::of(with_own_statistics(&module))?;
    let record = checkpoint::load_record(&path)?;
    let Some(base) = saved.digests_of(&record) else {
        let reason = "it is no adapter: it has no digests of a base";
        return Err(CheckpointError::unreadable(&path, reason).into());
    };
    let file = path.display().to_string();
    saved.check_base(&base, &file)?;
    let refused = |difference| AdapterFileError::OtherAdapter { file, difference };
    saved.take(record, group).map_err(refused)
}

/// What a file has, before what does not train is left out.
#[derive(Module, Debug)]
struct Saved<M: Module + ModuleDisplay> {
    network: M,
    /// A digest of each parameter of the base, `[parameters, DIGEST]`.
    base: Param<Tensor<2, Int>>,
    /// What each adapter's product is multiplied with.
    scales: Param<Tensor<1>>,
    /// The paths of the parameters of the base.
    #[module(skip)]
    paths: Vec<String>,
}

/// The digests of a file alone.
#[derive(Module, Debug)]
struct Base {
    base: Param<Tensor<2, Int>>,
}

impl<M: Module + ModuleDisplay> Saved<M> {
    /// With the parameters that belong into the file.
    fn of(module: M) -> Result<(Self, ParamGroup), AdapterError> {
        // A batch norm keeps the latest update of its statistics apart, and takes it in here.
        drop(module.valid());
        let adapters = adapters(&module)?;
        let scales: Vec<f64> = adapters.iter().map(|adapter| adapter.scale).collect();
        let device = module.devices().into_iter().next().unwrap_or_default();
        let Division { trained, base, .. } = Division::of(&module);
        let (paths, digests): (Vec<String>, Vec<[u8; DIGEST]>) = base.into_iter().unzip();
        let own = ["base", "scales"].map(String::from).into_iter();
        let network = trained.into_iter().map(|path| format!("network.{path}"));
        let saved = Self {
            network: module,
            base: digests_tensor(&digests, &device),
            scales: Param::from_tensor(Tensor::from_data(
                TensorData::from(scales.as_slice()),
                // In the type that they are read in, whatever the device's is.
                (&device, DType::F32),
            )),
            paths,
        };
        Ok((saved, ParamGroup::from_paths(own.chain(network).collect())))
    }

    /// The digests of a file's base, however many there are, if it has any.
    fn digests_of(&self, record: &ModuleRecord) -> Option<HashSet<[u8; DIGEST]>> {
        let load = |count: usize| {
            let device = self.base.lazy_device();
            let base = Base {
                base: digests_tensor(&vec![[0; DIGEST]; count], &device),
            };
            base.try_load_record(record.clone().allow_unused(true))
        };
        let loaded = load(self.paths.len()).or_else(|reason| {
            let count = recorded_rows(&reason.to_string());
            load(count.ok_or(reason)?)
        });
        let bytes = loaded.ok()?.base.val().into_data();
        let bytes: Vec<u8> = bytes.iter::<i64>().map(|byte| byte as u8).collect();
        let (digests, _) = bytes.as_chunks::<DIGEST>();
        Some(digests.iter().copied().collect())
    }

    /// Fails unless the base of a file is this one, of the same parameters.
    fn check_base(
        &self,
        other: &HashSet<[u8; DIGEST]>,
        file: &str,
    ) -> Result<(), AdapterFileError> {
        let own = self.base.val().into_data();
        let own: Vec<u8> = own.iter::<i64>().map(|byte| byte as u8).collect();
        let (own, _) = own.as_chunks::<DIGEST>();
        let file = file.to_string();
        let common = own.iter().filter(|digest| other.contains(*digest)).count();
        if common == own.len().min(other.len()) {
            if own.len() == other.len() {
                return Ok(());
            }
            // One has all that the other has: what is not in common trains there, where it is frozen here.
            let less_or_more = match other.len() < own.len() {
                true => "more",
                false => "fewer",
            };
            let difference = format!(
                "{less_or_more} parameters train beside it: {} are frozen there, {} in the network",
                other.len(),
                own.len()
            );
            return Err(AdapterFileError::OtherAdapter { file, difference });
        }
        let mut pairs = self.paths.iter().zip(own);
        let differing = pairs.find(|(_, digest)| !other.contains(*digest));
        let path =
            differing.map_or_else(|| unreachable!("not all are in common"), |(path, _)| path);
        let difference = format!("{path} differs");
        Err(AdapterFileError::OtherBase { file, difference })
    }

    /// The network with what the file has, or what does not fit.
    fn take(self, record: ModuleRecord, group: ParamGroup) -> Result<M, String> {
        let expected = self.clone().into_record_group(group).len();
        if record.len() != expected {
            return Err(format!(
                "it has {} tensors, the network has {expected}: its posteriors or its ranks are others",
                record.len()
            ));
        }
        let own: Vec<f64> = self.scales.val().into_data().iter::<f64>().collect();
        let load = || in_saved_layout(self, |own| own.try_load_record(record.allow_partial(true)));
        let (loaded, refused) = refused_constants(load);
        let loaded = loaded.map_err(|reason| reason.to_string())?;
        if let Some(reason) = refused.first() {
            return Err(reason.clone());
        }
        let scales: Vec<f64> = loaded.scales.val().into_data().iter::<f64>().collect();
        for (own, other) in own.iter().zip(&scales) {
            // Each is one product in `f32`, which two devices may round to neighbours.
            if (own - other).abs() > 1e-6 * own.abs() {
                return Err(format!(
                    "one of its products is multiplied with {other}, that of the network with {own}: alpha is another"
                ));
            }
        }
        Ok(loaded.network)
    }
}

/// The rows of a recorded matrix that was refused for its shape.
///
/// Burn tells the shapes of a record in this message alone.
fn recorded_rows(refusal: &str) -> Option<usize> {
    let (_, shape) = refusal.split_once("record has")?;
    let mut numbers = shape.split(|c: char| !c.is_ascii_digit());
    numbers.find(|number| !number.is_empty())?.parse().ok()
}

fn digests_tensor(digests: &[[u8; DIGEST]], device: &Device) -> Param<Tensor<2, Int>> {
    let bytes: Vec<i32> = digests.iter().flatten().map(|b| i32::from(*b)).collect();
    let data = TensorData::new(bytes, [digests.len(), DIGEST]);
    Param::initialized(Default::default(), Tensor::from_data(data, device))
}

/// The parameters that were trained, and those of the base with their digests.
#[derive(Default)]
struct Division {
    stack: Vec<(String, String)>,
    /// Whether the weight met last outside of what is attached trains.
    weight_trains: bool,
    /// The path of the module whose flag was met last, and whether that is on. The flag of a batch norm comes before
    /// its statistics, which move where it is on.
    flag: Option<(String, bool)>,
    /// The paths of running states.
    running_states: HashSet<String>,
    /// The paths of what is attached and has a parameter that trains.
    training_attachments: HashSet<String>,
    trained: Vec<String>,
    base: Vec<(String, [u8; DIGEST])>,
}

impl Division {
    fn of<M: Module>(module: &M) -> Self {
        // What is attached is of one kind as a whole, and its first parameter may be one that does not train.
        let mut training = TrainingAttachments::default();
        module.visit(&mut training);
        let mut division = Self {
            training_attachments: training.paths,
            running_states: running_states(module),
            ..Self::default()
        };
        module.visit(&mut division);
        division
    }

    /// The path of the module that what is met is a field of.
    fn module(&self) -> String {
        path(&self.stack[..self.stack.len().saturating_sub(1)])
    }

    /// Whether the running state at hand may move: those of a batch norm stand still where it is frozen.
    fn moves(&self) -> bool {
        let container = self.stack.last().map(|(_, container)| container.as_str());
        match &self.flag {
            Some((module, is_on)) if container == Some("Struct:BatchNorm") => {
                *is_on || *module != self.module()
            }
            _ => true,
        }
    }

    fn add(&mut self, trains: Option<bool>, data: impl FnOnce() -> TensorData) {
        let path = path(&self.stack);
        let trained = match attachment(&self.stack) {
            // A posterior goes with its weight, and without it where the mean is frozen and the deviations train.
            Some(attachment) => {
                self.weight_trains
                    || self.stack.iter().any(is_lora)
                    || self.training_attachments.contains(&attachment)
            }
            None if self.running_states.contains(&path) => self.moves(),
            None => {
                self.weight_trains = trains.unwrap_or(false);
                self.weight_trains
            }
        };
        if trained {
            self.trained.push(path);
            return;
        }
        let data = data();
        let mut hash = Sha256::new();
        hash.update(format!("{path} {:?} {:?} ", data.shape(), data.dtype()));
        hash.update(&data.bytes()[..]);
        let mut digest = [0; DIGEST];
        digest.copy_from_slice(&hash.finalize()[..DIGEST]);
        self.base.push((path, digest));
    }
}

/// The paths of running states: Burn shows one as a parameter, and what sets it apart is that it does not train in a
/// network that is unfrozen.
fn running_states<M: Module>(module: &M) -> HashSet<String> {
    struct Find(HashSet<String>);

    impl VisitAt for Find {
        fn visit_at<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
            // Nor does what is quantized.
            if !trains(param) && !matches!(param.base().dtype(), DType::QFloat(_)) {
                self.0.insert(path.to_string());
            }
        }
    }

    let mut find = Find(HashSet::new());
    // Off the module: clones share a running state, and `valid` makes one of its own.
    visit_by_path(&module.valid().unfreeze(), &mut find);
    find.0
}

/// The path of what is attached to a weight, around what the traversal is at.
fn attachment(stack: &[(String, String)]) -> Option<String> {
    let mut containers = stack.iter().map(|(_, container)| container);
    let outermost = containers.position(|container| container == ATTACHED)?;
    Some(path(&stack[..=outermost]))
}

/// Finds what is attached and has a parameter that trains.
#[derive(Default)]
struct TrainingAttachments {
    stack: Vec<(String, String)>,
    paths: HashSet<String>,
}

impl ModuleVisitor for TrainingAttachments {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.stack
            .push((name.to_string(), container_type.to_string()));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.stack.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(attachment) = attachment(&self.stack)
            && trains(param)
        {
            self.paths.insert(attachment);
        }
    }
}

impl ModuleVisitor for Division {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.stack
            .push((name.to_string(), container_type.to_string()));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.stack.pop();
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        // As configured: `valid()` switches it off for a time.
        let is_on = Module::train(flag.clone()).base().is_enabled();
        self.flag = Some((self.module(), is_on));
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = || param.transform_for_save().val().into_data();
        self.add(Some(trains(param)), data);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.add(None, || param.val().into_data());
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.add(None, || param.val().into_data());
    }
}
