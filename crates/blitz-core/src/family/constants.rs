//! The numbers of a distribution that do not train, such as degrees of freedom: saved beside its tensors, restored with
//! them.
//!
//! A record of Burn's holds tensors by path and nothing else, and a number in a field is none. So the numbers go into a
//! record as an integer tensor: not as a floating-point one, which a cast to half precision would round, an optimizer
//! would see and `num_params` count.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// The container type that visitors and mappers are told.
const CONTAINER: &str = "Struct:Constants";

/// The first word of the tensor: how the rest is laid out.
const LAYOUT: i32 = 1;

/// The upper bits of a parameter's identity that say that records of its module have constants.
const MARK: u64 = 0xB117_2C00_0000_0000;
const MARKED_BITS: u64 = 0xFFFF_FF00_0000_0000;

/// The numbers of a distribution that do not train, in a fixed order, and the family that they belong to.
///
/// What [`Posterior::constants`](crate::Posterior::constants), [`Prior::constants`](crate::Prior::constants) and the
/// like return. The family is a part of the path that the numbers are saved under: a record of one family is refused by
/// another, even if both are made of the same tensors.
///
/// ```
/// use blitz_core::{Constants, Prior, StudentTPriorConfig};
///
/// let prior = StudentTPriorConfig::new().with_df(3.0).with_scale(0.5).init();
/// assert_eq!(prior.constants(), Some(Constants::new("StudentT", [3.0, 0.5])));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Constants {
    family: Cow<'static, str>,
    values: Vec<f64>,
}

/// A constant of a record that no such distribution can have.
#[derive(Debug, Clone, PartialEq)]
pub struct ConstantError {
    /// What the constant is.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// What it must be.
    pub range: &'static str,
}

impl fmt::Display for ConstantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, range } = self;
        write!(f, "the {name} must be {range}, got {value}")
    }
}

impl std::error::Error for ConstantError {}

impl ConstantError {
    /// This error, unless the constant is in its range.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn unless(
        in_range: bool,
        name: &'static str,
        value: f64,
        range: &'static str,
    ) -> Result<(), Self> {
        match in_range {
            true => Ok(()),
            false => Err(Self { name, value, range }),
        }
    }

    /// This error, unless the constant is positive and finite.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn unless_positive(name: &'static str, value: f64) -> Result<(), Self> {
        let is_positive = value.is_finite() && value > 0.0;
        Self::unless(is_positive, name, value, "positive and finite")
    }
}

impl Constants {
    /// The constants of a family, of which there may be none.
    pub fn new(family: impl Into<Cow<'static, str>>, values: impl Into<Vec<f64>>) -> Self {
        Self {
            family: family.into(),
            values: values.into(),
        }
    }

    /// The name of the family.
    pub fn family(&self) -> &str {
        &self.family
    }

    /// The numbers.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The same numbers under the name of a family that is made of this one.
    #[must_use]
    pub fn within(mut self, family: &str) -> Self {
        self.family = format!("{family}{}", self.family).into();
        self
    }

    /// Shows them to a visitor of the module that they belong to. The tensor is made only if the visitor reads it, on
    /// `device`.
    pub fn visit<V: ModuleVisitor>(&self, visitor: &mut V, device: &Device) {
        visitor.enter_module(&self.family, CONTAINER);
        visitor.visit_int(&self.param(device));
        visitor.exit_module(&self.family, CONTAINER);
    }

    /// Hands them to a mapper of the module that they belong to. One that loads a record has others for them, which are
    /// `set`: as many as there are here. If they cannot be set, the loading fails and says why.
    pub fn map<M: ModuleMapper>(
        &self,
        mapper: &mut M,
        device: &Device,
        set: impl FnOnce(&[f64]) -> Result<(), ConstantError>,
    ) {
        mapper.enter_module(&self.family, CONTAINER);
        let param = mapper.map_int(self.param(device));
        // Untouched, it is still to be made.
        if param.is_initialized() {
            let words: Vec<i64> = param.val().into_data().iter::<i64>().collect();
            if let Err(error) = decode(&words).and_then(|values| set(&values)) {
                self.refuse(mapper, device, &error.to_string());
            }
        }
        mapper.exit_module(&self.family, CONTAINER);
    }

    /// Makes whatever loads a record refuse it.
    ///
    /// A mapper takes no error from the module that it maps. But it looks for each tensor that it is asked for, and
    /// Burn's loaders fail with the names of those that are missing: none has a sentence for a name. Those that are
    /// told to let tensors be missing don't, for which there is [`refused_constants`].
    fn refuse<M: ModuleMapper>(&self, mapper: &mut M, device: &Device, reason: &str) {
        REFUSED.with_borrow_mut(|refused| {
            if let Some(refused) = refused.last_mut() {
                refused.push(format!("{}: {reason}", self.family));
            }
        });
        mapper.enter_module(reason, CONTAINER);
        mapper.map_int(self.param(device));
        mapper.exit_module(reason, CONTAINER);
    }

    /// The identity that a parameter gets whose module saves constants: what [`is_marked`](Self::is_marked) looks for.
    /// For the crates of blitz.
    #[doc(hidden)]
    #[must_use]
    pub fn mark(id: ParamId) -> ParamId {
        ParamId::from(id.val() & !MARKED_BITS | MARK)
    }

    /// Whether the module of a parameter of this identity saves constants.
    ///
    /// A record from before they were saved has to load, and whatever loads a record takes a tensor that is not in it
    /// for an error. So a module must know whether to ask, and all that it learns of a record is its tensors and their
    /// identities. One without the mark was given before.
    ///
    /// For the crates of blitz.
    #[doc(hidden)]
    pub fn is_marked(id: ParamId) -> bool {
        id.val() & MARKED_BITS == MARK
    }

    fn param(&self, device: &Device) -> Param<Tensor<1, Int>> {
        let words = encode(&self.values);
        let shape = [words.len()].into();
        Param::uninitialized(
            // The same for all: it is restored with the numbers, and nobody looks at it.
            ParamId::from(MARK),
            move |device, _| {
                let length = words.len();
                Tensor::from_data(TensorData::new(words, [length]), (device, DType::I32))
            },
            device.clone().without_autodiff(),
            false,
            shape,
        )
    }
}

thread_local! {
    /// What was refused in each of the calls of [`refused_constants`] that are under way.
    static REFUSED: RefCell<Vec<Vec<String>>> = const { RefCell::new(Vec::new()) };
}

/// What `load` returns, and a sentence for each constant of a record that could not be set meanwhile.
///
/// Loading a record whose constants can't be, because they are out of range or of a later version, fails. But with
/// [`allow_partial`](burn::store::ModuleRecord::allow_partial), or its like in Burn's stores, it goes through and leaves the constants that the module had: no loader takes another error than that of a tensor that is missing.
///
/// ```
/// use blitz_core::prelude::*;
/// use blitz_core::refused_constants;
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
///
/// let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::student_t(5.0, 0.1));
/// let net = || LinearConfig::new(2, 1).init(&Device::flex()).bayesianize(&config);
/// let record = net().into_record().allow_partial(true);
/// let (loaded, refused) = refused_constants(|| net().try_load_record(record));
/// assert!(loaded.is_ok() && refused.is_empty());
/// ```
pub fn refused_constants<R>(load: impl FnOnce() -> R) -> (R, Vec<String>) {
    /// Closes the call if `load` panics, too.
    struct Call;

    impl Drop for Call {
        fn drop(&mut self) {
            REFUSED.with_borrow_mut(Vec::pop);
        }
    }

    REFUSED.with_borrow_mut(|refused| refused.push(Vec::new()));
    let call = Call;
    let loaded = load();
    let refused = REFUSED.with_borrow_mut(|refused| refused.last_mut().map(std::mem::take));
    drop(call);
    (loaded, refused.unwrap_or_default())
}

/// Two words of 32 bits for each number, the upper half first: integers of 64 bits are not on every backend.
fn encode(values: &[f64]) -> Vec<i32> {
    let words = values.iter().flat_map(|value| {
        let bits = value.to_bits();
        [(bits >> 32) as u32 as i32, bits as u32 as i32]
    });
    std::iter::once(LAYOUT).chain(words).collect()
}

fn decode(words: &[i64]) -> Result<Vec<f64>, ConstantError> {
    let (layout, words) = words.split_first().unwrap_or((&0, &[]));
    ConstantError::unless(
        *layout == i64::from(LAYOUT),
        "layout of saved constants",
        *layout as f64,
        "1",
    )?;
    let numbers = words.chunks_exact(2).map(|pair| {
        // A word that was read as an integer without a sign is the same bits.
        let [high, low] = [pair[0], pair[1]].map(|word| u64::from(word as u32));
        f64::from_bits(high << 32 | low)
    });
    Ok(numbers.collect())
}

/// A module whose parameters all have the mark.
pub(crate) fn mark<M: Module>(module: M) -> M {
    module.map(&mut Mark)
}

/// Whether no parameter of a module is without the mark.
pub(crate) fn all_marked<M: Module>(module: &M) -> bool {
    let mut look = Look { all: true };
    module.visit(&mut look);
    look.all
}

struct Mark;

impl ModuleMapper for Mark {
    fn map_float<const D: usize>(&mut self, mut param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.id = Constants::mark(param.id);
        param
    }
}

struct Look {
    all: bool,
}

impl ModuleVisitor for Look {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.all &= Constants::is_marked(param.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_to_the_bit() {
        let values = [3.0, 1e-310, -0.0, f64::MAX, 0.1, f64::INFINITY];
        let words: Vec<i64> = encode(&values).into_iter().map(i64::from).collect();
        let back = decode(&words).unwrap();
        assert_eq!(back.map_bits(), values.to_vec().map_bits());
        // As a backend that has them without a sign returns them.
        let unsigned: Vec<i64> = words.iter().map(|w| i64::from(*w as u32)).collect();
        assert_eq!(decode(&unsigned).unwrap().map_bits(), back.map_bits());
    }

    #[test]
    fn an_unknown_layout_is_an_error() {
        for words in [&[][..], &[2, 0, 0]] {
            let error = decode(words).unwrap_err().to_string();
            assert!(error.contains("layout"), "{error}");
        }
    }

    #[test]
    fn a_marked_identity_is_told_from_others() {
        let id = ParamId::from(0x0123_4567_89AB_CDEF);
        let marked = Constants::mark(id);
        assert!(!Constants::is_marked(id) && Constants::is_marked(marked));
        assert_eq!(Constants::mark(marked), marked);
    }

    trait MapBits {
        fn map_bits(&self) -> Vec<u64>;
    }

    impl MapBits for Vec<f64> {
        fn map_bits(&self) -> Vec<u64> {
            self.iter().map(|value| value.to_bits()).collect()
        }
    }
}
