//! What every Burn module can do once some of its parameters have posteriors.

use burn::module::{Module, ParamGroup};
use burn::tensor::Tensor;

use super::freeze::set_sampling;
use super::kl;
use super::marginals::{self, AttachedPosterior, WeightMarginals};
use super::moments::{self, MomentsError};
use super::movement::{self, WeightMovement};
use super::pruning::{self, PruningReport};
use super::summary::{self, BayesianSummary};
use crate::attach::{
    self, BayesianizeConfig, BayesianizeError, MopedConfig, Posteriors, Walk, attach_chosen,
    check_bare, walk_apart, with_own_identities, with_weights_apart,
};
use crate::draw::{Draw, KeptDeviations, KeptMoments};
use crate::family::at_least_f32;
use crate::family::posterior::{Posterior, WeightInfo};
use crate::family::prior::Prior;
use crate::kl::KlTerm;

/// The Bayesian side of a Burn module, implemented for every [`Module`].
///
/// ```
/// use blitz_core::prelude::*;
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig, Relu};
/// use burn::tensor::{Device, Tensor};
///
/// #[derive(Module, Debug)]
/// struct Net {
///     hidden: Linear,
///     out: Linear,
/// }
///
/// impl Net {
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
///         self.out.forward(Relu::new().forward(self.hidden.forward(x)))
///     }
/// }
///
/// let device = Device::flex();
/// let net = Net {
///     hidden: LinearConfig::new(4, 8).init(&device),
///     out: LinearConfig::new(8, 1).init(&device),
/// }
/// .bayesianize(&BayesianizeConfig::new());
///
/// assert_eq!(net.num_bayesian_weights(), 4 * 8 + 8 + 8 + 1);
/// let x = Tensor::<2>::ones([2, 4], &device);
/// let (a, b) = {
///     let _draw = net.draw(7, 0); // draw 0 of seed 7: one joint sample of all weights
///     (net.forward(x.clone()), net.forward(x.clone()))
/// };
/// assert_eq!(a.into_data(), b.into_data());
/// let kl = net.kl_cost().into_scalar::<f32>(); // nats, summed over the weights
/// assert!(kl > 0.0);
/// ```
pub trait BayesianModule: Module {
    /// Makes the module Bayesian: attaches a posterior to each of its parameters that trains, or to those that
    /// `config` chooses, with the parameter's value as the posterior's mean.
    ///
    /// The module's code, type and parameter paths stay the same; see [`map_means`](Self::map_means) for loading a
    /// checkpoint of the deterministic module afterwards.
    ///
    /// # Panics
    ///
    /// Panics where [`try_bayesianize`](Self::try_bayesianize) returns an error, and if the configuration holds an
    /// impossible value, such as a negative deviation.
    #[must_use]
    fn bayesianize(self, config: &BayesianizeConfig) -> Self {
        match config.apply(self) {
            Ok(module) => module,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`bayesianize`](Self::bayesianize) for filters that a user or a file supplied: an error says which of them
    /// does not fit the module.
    ///
    /// # Errors
    ///
    /// Returns an error if
    ///
    /// - a filter or a rule matches nothing or is no regular expression, or earlier rules match all that a rule does
    ///   ([`Shadowed`](BayesianizeError::Shadowed));
    /// - nothing that was chosen can be converted, or something chosen has a posterior already (see
    ///   [`ExistingPosteriors`](crate::ExistingPosteriors));
    /// - a posterior is to be [replaced](BayesianizeConfig::replace_existing) in a module that holds
    ///   reparameterizations of other kinds, such as LoRA
    ///   ([`OtherReparameterization`](BayesianizeError::OtherReparameterization));
    /// - such a reparameterization came after a posterior and is inside it
    ///   ([`InsidePosterior`](BayesianizeError::InsidePosterior)).
    ///
    /// # Panics
    ///
    /// Panics if the configuration holds an impossible value, such as a negative deviation.
    fn try_bayesianize(self, config: &BayesianizeConfig) -> Result<Self, BayesianizeError> {
        config.apply(self)
    }

    /// MOPED (Krishnan et al. 2020): makes a *trained* module Bayesian around its weights.
    ///
    /// The means stay at the trained weights, `σ_i = max(δ |w_i|, min_std)`, and the prior is centred at the trained
    /// weights too, so that the KL pulls them nowhere at the start. Weights that have a posterior already get a new
    /// one around their present means; a pruned weight takes part again, from zero. Posteriors of weights that `config`
    /// does not choose stay as they are, so parts of a model can be converted one after the other.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let trained = LinearConfig::new(2, 1).init(&Device::flex());
    /// let net = trained.clone().moped(&MopedConfig::new().with_delta(0.2));
    /// assert_eq!(net.mean_network().weight.val().into_data(), trained.weight.val().into_data());
    /// ```
    ///
    /// # Panics
    ///
    /// Panics where [`try_moped`](Self::try_moped) returns an error, and if the configuration holds an impossible
    /// value, such as a negative deviation.
    #[must_use]
    fn moped(self, config: &MopedConfig) -> Self {
        match config.apply(self) {
            Ok(module) => module,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`moped`](Self::moped) for filters that a user or a file supplied.
    ///
    /// # Errors
    ///
    /// Returns an error if the filter matches nothing or is no regular expression, if nothing that was chosen can be
    /// converted, if a weight is NaN or infinite or its deviation would be above 1e15
    /// ([`NotFinite`](BayesianizeError::NotFinite)), if a posterior is to be replaced in a module that holds
    /// reparameterizations of other kinds, such as LoRA, and if one of those is inside a posterior
    /// ([`InsidePosterior`](BayesianizeError::InsidePosterior)).
    ///
    /// # Panics
    ///
    /// Panics if the configuration holds an impossible value, such as a negative deviation.
    fn try_moped(self, config: &MopedConfig) -> Result<Self, BayesianizeError> {
        config.apply(self)
    }

    /// Yesterday's posterior as today's prior, for every weight that has a posterior: continual learning by Bayes'
    /// rule, `p(w | D₁, D₂) ∝ p(D₂ | w) p(w | D₁)`.
    ///
    /// The posterior stays as it is, and so do all draws; the [KL](Self::kl_cost) is zero, and from here on counts what
    /// today's data move. Train as before, with the size of *today's* data set. Nothing of the old data is needed, and
    /// the approximation of each day is handed on to the next.
    ///
    /// The prior is a [`PosteriorPrior`](crate::PosteriorPrior), of any built-in family. It replaces a learned or
    /// shared scale as well. Pruned weights stay pruned. Records have it: a network that loads one has to have been
    /// through this call, on posteriors of the same families.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    ///
    /// let net = LinearConfig::new(3, 2).init(&Device::flex()).bayesianize(&BayesianizeConfig::new());
    /// assert!(net.kl_cost().into_scalar::<f32>() > 20.0);
    /// let before = net.sample_network(1, 0);
    ///
    /// // After the training on yesterday's data:
    /// let net = net.posterior_as_prior();
    /// assert!(net.kl_cost().into_scalar::<f32>().abs() < 1e-5);
    /// assert_eq!(net.sample_network(1, 0).weight.val().into_data(), before.weight.val().into_data());
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if there is no posterior, if a posterior can't be a prior (a family of one's own that does not say that
    /// it [has a density](Posterior::has_density), or one with an [update of its own](Posterior::has_own_update), such
    /// as IVON's), or if the module holds reparameterizations of other kinds, such as LoRA.
    #[must_use]
    fn posterior_as_prior(self) -> Self {
        match self.try_posterior_as_prior() {
            Ok(module) => module,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`posterior_as_prior`](Self::posterior_as_prior) for a network that a user or a file supplied.
    ///
    /// # Errors
    ///
    /// Returns an error that names the weights and their families, where the other panics.
    fn try_posterior_as_prior(self) -> Result<Self, BayesianizeError> {
        attach::posterior_as_prior(self)
    }

    /// Every deviation `factor` times as large, the means as they are: above 1 the network is less sure of its weights
    /// than it was.
    ///
    /// For data that drift. Before a new day, `scale_deviations(δ.powf(-0.5)).posterior_as_prior()` with a discount δ
    /// of 0.8 to 1 forgets the share 1 − δ of what all days before have told: the prior of each day is the posterior of
    /// the day before with its variances divided by δ (West & Harrison, *Bayesian forecasting and dynamic models*,
    /// 1997, chapter 6). Without it a network that has seen many days is too sure of them to follow.
    ///
    /// The noise of each draw is the same, multiplied. Priors stay, so the KL changes. Pruned weights stay pruned.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    ///
    /// let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.1));
    /// let net = LinearConfig::new(3, 2).init(&Device::flex()).bayesianize(&config);
    /// let net = net.scale_deviations(1.5).posterior_as_prior();
    /// assert!((net.weight_marginals()[0].std_devs[0] - 0.15).abs() < 1e-6);
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if `factor` is not a positive, finite number, if there is no posterior, if a family does not say how its
    /// deviations are scaled ([`with_deviations_scaled`](crate::Posterior::with_deviations_scaled)), or if the module
    /// holds reparameterizations of other kinds, such as LoRA.
    #[must_use]
    fn scale_deviations(self, factor: f64) -> Self {
        match self.try_scale_deviations(factor) {
            Ok(module) => module,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`scale_deviations`](Self::scale_deviations) for a network that a user or a file supplied.
    ///
    /// # Errors
    ///
    /// Returns an error that names the weights and their families, where the other panics.
    ///
    /// # Panics
    ///
    /// Panics if `factor` is not a positive, finite number.
    fn try_scale_deviations(self, factor: f64) -> Result<Self, BayesianizeError> {
        attach::scale_deviations(self, factor)
    }

    /// Changes the means alone: `f` gets the deterministic network of the stored means μ, and what it returns gets the
    /// posteriors back.
    ///
    /// The way to load a deterministic checkpoint, from Burn or PyTorch, into a network that is Bayesian already:
    /// inside `f` the module has no parameters but those of the checkpoint, and a missing or an extra one is an error.
    /// Means that are quantized in it become the numbers that they stand for, in the type that they had before.
    ///
    /// The running statistics of a batch norm are loaded into those that all clones of the network share, as by Burn's own
    /// loaders: members of an ensemble that are loaded into clones of one network are made by `valid()` first, or by
    /// `init` each.
    ///
    /// A [tied](Self::retie) weight may be in a file once, by whichever of its names: what is loaded at one place is that
    /// of all. Where several are loaded, the first counts.
    ///
    /// Inside `f` every weight is initialized, and into such a weight Burn loads no record that is of another shape
    /// than the weight: a linear layer that stores its matrix by columns (`LinearLayout::Col`) is loaded before it
    /// becomes Bayesian.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::module::Module;
    /// use burn::nn::LinearConfig;
    /// use burn::store::RecordError;
    /// use burn::tensor::Device;
    ///
    /// # fn main() -> Result<(), RecordError> {
    /// let device = Device::flex();
    /// let net = LinearConfig::new(2, 2).init(&device).bayesianize(&BayesianizeConfig::new());
    /// let checkpoint = LinearConfig::new(2, 2).init(&device);
    ///
    /// let net = net.map_means(|means| means.try_load_record(checkpoint.clone().into_record()))?;
    /// assert_eq!(net.weight.base().into_data(), checkpoint.weight.val().into_data());
    /// assert_eq!(net.num_bayesian_weights(), 6);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the error of `f`.
    ///
    /// # Panics
    ///
    /// Panics if the module holds reparameterizations of other kinds, such as LoRA, and with the path if a weight that
    /// has a posterior is of another shape in what `f` returns, or is not there.
    fn map_means<E>(self, f: impl FnOnce(Self) -> Result<Self, E>) -> Result<Self, E> {
        let (module, walk) = walk_apart(self);
        check_bare(&walk).unwrap_or_else(|error| panic!("{error}"));
        let (means, posteriors) = Posteriors::take_off(module, &walk);
        posteriors.put_back_on(means, f)
    }

    /// Attaches posteriors and priors of any kind: `choose` is asked for each parameter that trains and has no
    /// posterior yet, once for one that is tied, and answers `None` to leave it as it is.
    ///
    /// See [`Posterior`] for an example.
    ///
    /// # Panics
    ///
    /// Panics if there is nothing to ask for: no parameter trains, or all have posteriors already (see
    /// [`replace_posteriors`](Self::replace_posteriors)). And if a reparameterization of another kind, such as LoRA, is inside a posterior
    /// ([`InsidePosterior`](BayesianizeError::InsidePosterior)).
    #[must_use]
    fn attach_posteriors<Q: Posterior, P: Prior>(
        self,
        choose: impl FnMut(WeightInfo<'_>) -> Option<(Q, P)>,
    ) -> Self {
        attach_chosen(self, false, choose).unwrap_or_else(|error| panic!("{error}"))
    }

    /// [`attach_posteriors`](Self::attach_posteriors) that asks for the parameters with a posterior as well: what `choose` returns takes
    /// its place, around the stored mean.
    ///
    /// # Panics
    ///
    /// Panics if no parameter trains, if a posterior is to be replaced in a module that holds reparameterizations of
    /// other kinds, such as LoRA, or if one of those is inside a posterior
    /// ([`InsidePosterior`](BayesianizeError::InsidePosterior)).
    #[must_use]
    fn replace_posteriors<Q: Posterior, P: Prior>(
        self,
        choose: impl FnMut(WeightInfo<'_>) -> Option<(Q, P)>,
    ) -> Self {
        attach_chosen(self, true, choose).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Whether a weight stands in several places of the module; see [`retie`](Self::retie).
    fn has_tied_weights(&self) -> bool {
        Walk::of(self)
            .weights
            .iter()
            .any(|weight| weight.places.len() > 1)
    }

    /// The module with identities of its own: those of its tensors, its posteriors and its random layers. What is tied
    /// in it stays tied, and its draws are the same.
    ///
    /// Clones of a module share them, and so do networks that were loaded from one file. Beside each other in one
    /// module they are told apart by them alone: Burn's optimizer would give the gradient of one to the other, and a
    /// draw has one sample for both. So give all but one of them identities of their own before they meet.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    ///
    /// let tower = LinearConfig::new(2, 3).init(&Device::flex()).bayesianize(&BayesianizeConfig::new());
    /// let tied = [tower.clone(), tower.clone()];
    /// assert_eq!(tied.num_bayesian_weights(), 6 + 3);
    /// let apart = [tower.clone(), tower.with_own_identities()];
    /// assert_eq!(apart.num_bayesian_weights(), 2 * (6 + 3));
    /// ```
    #[must_use]
    fn with_own_identities(self) -> Self {
        with_own_identities(self)
    }

    /// The module with identities of their own for weights that have the same and are [not tied](Self::retie): a frozen
    /// teacher beside its student, two Bayesian networks from one file. The first that trains keeps it.
    ///
    /// Burn's optimizer gives a gradient to the first parameter that has its id, frozen or not, and a draw has one sample
    /// for all that one identity has. What changes a module's posteriors or their sampling does this first, and so do
    /// blitz-train's models and predictors. In a loop of your own call it before the first draw, and after a record was
    /// loaded.
    ///
    /// Two deterministic networks from one file are [one](Self::retie), until one of them gets [identities of its
    /// own](Self::with_own_identities).
    ///
    /// An optimizer's group that was made of ids (`ParamGroup::from_ids`) before has the first weight alone: make it
    /// afterwards, or by paths.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::module::Module;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    ///
    /// let student = LinearConfig::new(2, 3).init(&Device::flex()).materialize();
    /// let both = [student.clone().freeze(), student].with_weights_apart();
    /// assert_ne!(both[0].weight.id, both[1].weight.id);
    /// ```
    #[must_use]
    fn with_weights_apart(self) -> Self {
        with_weights_apart(self)
    }

    /// One tensor again in all places of each weight that is tied: that of the first.
    ///
    /// A weight is tied if parameters have one id, or their posteriors one identity: clones of one parameter. A frozen
    /// one is tied to none that trains. Posteriors of two identities keep weights apart, whatever the ids, which a
    /// record restores, and with them all other weights of the two modules, as of two networks from one file whose
    /// heads alone are Bayesian. A draw has one sample of a tied weight, and it is counted and pays its KL once. But
    /// Burn's optimizer updates the first place alone, and its loaders make a tensor for each: call this after an
    /// optimizer's step in a loop of your own, and after loading. [`map_means`](Self::map_means) and the like, and
    /// blitz-train's models, do. A file that has the weight under the name of a later place alone is loaded in
    /// [`map_means`](Self::map_means), of a network without posteriors too, or with its key remapped to the first.
    ///
    /// A parameter that trains in several places and has a posterior at one of them, since a layer was made Bayesian by
    /// itself, is such a weight: its posterior goes to all places, which are drawn together from then on. Give one of
    /// them an id of its own if it is to stay deterministic.
    ///
    /// An adapter that a place has of its own, such as the LoRA of one depth of a recursive transformer, stays its own.
    #[must_use]
    fn retie(self) -> Self {
        attach::retie(self)
    }

    /// The posteriors of type `Q` and the weights they belong to, in the order of the module's traversal, for an
    /// algorithm that updates a weight's location together with the rest of its posterior.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use blitz_core::{NormalPosterior, BuiltinPosterior};
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    ///
    /// let net = LinearConfig::new(2, 3).init(&Device::flex()).bayesianize(&BayesianizeConfig::new());
    /// let posteriors = net.posteriors::<BuiltinPosterior>();
    /// assert_eq!(posteriors[0].path, "weight");
    /// assert_eq!(posteriors[0].id, net.weight.id);
    /// assert!(net.posteriors::<NormalPosterior>().is_empty());
    /// ```
    fn posteriors<Q: Posterior>(&self) -> Vec<AttachedPosterior<Q>> {
        marginals::posteriors(self)
    }

    /// The means and deviations of all weights that have a posterior, whatever its family, in the order of the module's
    /// traversal: for looking at them, on the host and off the autodiff graph.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    ///
    /// let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.1));
    /// let net = LinearConfig::new(2, 3).init(&Device::flex()).bayesianize(&config);
    /// let weight = &net.weight_marginals()[0];
    /// assert_eq!((weight.path.as_str(), weight.means.len()), ("weight", 6));
    /// assert!(weight.std_devs.iter().all(|std| (std - 0.1).abs() < 1e-6));
    /// ```
    fn weight_marginals(&self) -> Vec<WeightMarginals> {
        marginals::of(self)
    }

    /// How far each weight's posterior is from its prior, and from `start`, the
    /// [`weight_marginals`](Self::weight_marginals) of an earlier moment; in the order of the module's traversal. A
    /// weight that is not in `start` has none.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    ///
    /// let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.1));
    /// let net = LinearConfig::new(2, 3).with_bias(false).init(&Device::flex()).bayesianize(&config);
    /// let start = net.weight_marginals();
    /// assert_eq!(net.weight_movements(Some(&start))[0].has_stayed(), Some(true));
    ///
    /// // All means up by 0.2: two deviations.
    /// let moved = net.map_means(|mut net| {
    ///     net.weight = net.weight.map(|weight| weight + 0.2);
    ///     Ok::<_, std::convert::Infallible>(net)
    /// });
    /// let moved = &moved.unwrap_or_else(|error| match error {}).weight_movements(Some(&start))[0];
    /// assert_eq!(moved.has_stayed(), Some(false));
    /// assert!(moved.from_start.iter().flat_map(|from| &from.shifts).all(|shift| (shift - 2.0).abs() < 1e-4));
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if a weight of `start` has another number of weights now.
    fn weight_movements(&self, start: Option<&[WeightMarginals]>) -> Vec<WeightMovement> {
        movement::of(self, start)
    }

    /// Opens draw `index` of `seed`: until the guard is dropped, all reads of the module's weights on this thread
    /// see the same joint sample. See [`Draw::sample`].
    fn draw(&self, seed: u64, index: u64) -> Draw {
        Draw::sample(self, seed, index)
    }

    /// Runs `f` inside draw `index` of `seed`.
    fn with_draw<R>(&self, seed: u64, index: u64, f: impl FnOnce(&Self) -> R) -> R {
        let _draw = self.draw(seed, index);
        f(self)
    }

    /// Runs `f` with every Bayesian parameter read as the mean of its posterior.
    fn with_mean<R>(&self, f: impl FnOnce(&Self) -> R) -> R {
        let _mean = Draw::mean();
        f(self)
    }

    /// Runs `f` in a pass of moments: layers that know how read each weight as its mean and variance, by
    /// [`WeightMoments`](crate::WeightMoments), instead of a sample. What `f` returns is refused unless the uncertainty
    /// of the whole network is in it. `blitz-layers` has the layers, and `blitz-train` the predictions.
    ///
    /// Whoever reads a weight otherwise, such as a layer's `forward`, gets its mean.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use blitz_core::WeightMoments;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex();
    /// let layer = LinearConfig::new(3, 1).with_bias(false).init(&device).bayesianize(&BayesianizeConfig::new());
    /// let x = Tensor::<2>::ones([4, 3], &device);
    ///
    /// let variance = layer.with_moments(|layer| {
    ///     let weight = WeightMoments::of(&layer.weight);
    ///     x.clone().square().matmul(weight.variance.unwrap())
    /// });
    /// assert_eq!(variance.unwrap().dims(), [4, 1]);
    ///
    /// let forward = layer.with_moments(|layer| layer.forward(x));
    /// assert!(forward.unwrap_err().to_string().contains("the uncertainty of weight"));
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error that names what `f` left out: weights with a posterior and layers with
    /// [`LayerNoise`](crate::LayerNoise) whose variance it did not read, or of which it also read the mean alone. So
    /// does a posterior with correlations. What is [frozen](Self::freeze_sampling) has no variance to read.
    fn with_moments<R>(&self, f: impl FnOnce(&Self) -> R) -> Result<R, MomentsError> {
        moments::with_moments(self, &mut KeptMoments::default(), f)
    }

    /// [`with_moments`](Self::with_moments) that keeps the moments of the weights for the next pass of the same network: it must not be trained, loaded, frozen, unfrozen or moved to another device
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// As [`with_moments`](Self::with_moments).
    fn with_kept_moments<R>(
        &self,
        kept: &mut KeptMoments,
        f: impl FnOnce(&Self) -> R,
    ) -> Result<R, MomentsError> {
        moments::with_moments(self, kept, f)
    }

    /// The concrete network of draw `index` of `seed`: an ordinary module without posteriors, for saving, exporting or
    /// quantizing.
    #[must_use]
    fn sample_network(&self, seed: u64, index: u64) -> Self {
        let _draw = self.draw(seed, index);
        self.clone().materialize()
    }

    /// The networks of several draws of `seed`: those of [`sample_network`](Self::sample_network), with the deviations
    /// of the posteriors computed once.
    #[must_use]
    fn sample_networks(&self, seed: u64, indices: impl IntoIterator<Item = u64>) -> Vec<Self> {
        let kept = KeptDeviations::default();
        let network = |index| {
            let _draw = self.draw(seed, index).with_deviations(&kept);
            self.clone().materialize()
        };
        indices.into_iter().map(network).collect()
    }

    /// The network of the posterior means: an ordinary module without posteriors, for saving, exporting or quantizing.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::module::{Module, Quantizer};
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::quantization::{Calibration, QuantValue};
    /// use burn::tensor::{DType, Device};
    ///
    /// let device = Device::flex();
    /// let net = LinearConfig::new(32, 32).init(&device).bayesianize(&BayesianizeConfig::new());
    /// let scheme = device.settings().quantization.scheme.with_value(QuantValue::Q8S);
    /// let quantized = net.mean_network().quantize_weights(&mut Quantizer::new(Calibration::MinMax, scheme));
    /// assert!(matches!(quantized.weight.val().dtype(), DType::QFloat(_)));
    /// ```
    #[must_use]
    fn mean_network(&self) -> Self {
        let _mean = Draw::mean();
        self.clone().materialize()
    }

    /// `KL(q ‖ p)` summed over all Bayesian weights of the module, in nats, of shape `[1]`, with its gradient.
    ///
    /// A function of the parameters: whether, where and how often the module ran does not matter, nor whether
    /// its sampling is frozen. Terms without a closed form are estimated at the weights of the open draw, or at a
    /// fresh sample if none is open. Zero for a module without posteriors. Divide by the size of the *data set* to
    /// set it against a mean loss.
    fn kl_cost(&self) -> Tensor<1> {
        KlTerm::total(self.kl_terms()).unwrap_or_else(|| {
            let device = self.devices().into_iter().next().unwrap_or_default();
            at_least_f32(Tensor::zeros([1], &device))
        })
    }

    /// The part of [`kl_cost`](Self::kl_cost) that is estimated at the open draw's weights, and so differs from draw to
    /// draw; `None` if every term has a closed form.
    fn kl_cost_of_draw(&self) -> Option<Tensor<1>> {
        KlTerm::total(kl::sampled_terms(self))
    }

    /// The KL of each Bayesian parameter, in the order of the module's traversal.
    fn kl_terms(&self) -> Vec<KlTerm> {
        kl::terms(self)
    }

    /// Stops the sampling of all weights: they read as their posterior means, in training and prediction, until
    /// [`unfreeze_sampling`](Self::unfreeze_sampling). The means keep training. Layers with [`LayerNoise`](crate::LayerNoise), such as
    /// Monte Carlo dropout, take none.
    ///
    /// Recorded in Burn's module flags, which `valid()`, `train()`, `fork` and loading a record leave as
    /// configured. Burn's own `freeze` switches every flag off and so freezes sampling as well: call
    /// `unfreeze_sampling` after it to predict with a posterior whose parameters no longer train.
    #[must_use]
    fn freeze_sampling(self) -> Self {
        set_sampling(self, false, &ParamGroup::all())
    }

    /// Samples all weights again.
    #[must_use]
    fn unfreeze_sampling(self) -> Self {
        set_sampling(self, true, &ParamGroup::all())
    }

    /// [`freeze_sampling`](Self::freeze_sampling) for the weights whose path, e.g. `"encoder.linear1.weight"`, or id is in `group`.
    #[must_use]
    fn freeze_sampling_group(self, group: ParamGroup) -> Self {
        set_sampling(self, false, &group)
    }

    /// [`unfreeze_sampling`](Self::unfreeze_sampling) for the weights whose path or id is in `group`.
    #[must_use]
    fn unfreeze_sampling_group(self, group: ParamGroup) -> Self {
        set_sampling(self, true, &group)
    }

    /// Prunes this share of the weights that have a posterior, those with the lowest signal-to-noise ratio `|mean| / σ`
    /// in the whole module (Blundell et al. 2015): they read as exactly zero in the mean network and in every draw.
    ///
    /// Of n weights, `round(share · n)` are pruned; of equal ratios, the one that comes first in the traversal goes
    /// first. Weights that were pruned before stay pruned and count among the share: one that is no larger than what is
    /// pruned already prunes nothing. Deterministic parameters are left alone.
    ///
    /// Pruned weights stay pruned in further training: no gradient of the data reaches them. Their posteriors are still
    /// there and still part of [`kl_cost`](Self::kl_cost), which remains the KL of an ELBO for the smaller network;
    /// trained on, they go to the prior, where they cost nothing. What is pruned is saved with the module: before
    /// loading such a record into a new module, call `prune_by_signal_to_noise(0.0)` on it, which prunes nothing but
    /// makes room.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    ///
    /// let net = LinearConfig::new(4, 2).with_bias(false).init(&Device::flex()).bayesianize(&BayesianizeConfig::new());
    /// let (net, report) = net.prune_by_signal_to_noise(0.75);
    /// assert_eq!((report.pruned, report.total), (6, 8));
    /// let weights = net.sample_network(1, 0).weight.val().into_data().try_to_vec::<f32>().unwrap();
    /// assert_eq!(weights.iter().filter(|w| **w == 0.0).count(), 6);
    /// println!("{report}");
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if `share` does not lie in [0, 1], if a ratio is not a number, or if the module holds
    /// reparameterizations of other kinds, such as LoRA.
    fn prune_by_signal_to_noise(self, share: f64) -> (Self, PruningReport) {
        pruning::prune(self, share)
    }

    /// Which weights have a posterior, of which family and under which prior; prints as a table. Nothing is drawn for
    /// it.
    ///
    /// A layer of Burn's prints as it always does, `Linear {d_input: 3, d_output: 2, bias: true, params: 16}`: its
    /// parameters are then counted with the deviations, and nothing else tells that it is Bayesian.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    ///
    /// let matrices = BayesianizeConfig::new().only(WeightFilter::matrices());
    /// let net = LinearConfig::new(3, 2).init(&Device::flex()).bayesianize(&matrices);
    /// let expected = "\
    /// weight  shape  posterior  prior
    /// weight  3 x 2  Normal     Normal
    /// without a posterior: bias";
    /// assert_eq!(net.bayesian_summary().to_string(), expected);
    /// ```
    fn bayesian_summary(&self) -> BayesianSummary {
        summary::of(self)
    }

    /// The number of weights that have a posterior; a weight that is tied counts once. All that are stored count, an
    /// embedding's padding among them.
    fn num_bayesian_weights(&self) -> usize {
        let walk = Walk::of(self);
        let weights = walk.posteriors();
        weights.map(|(weight, _)| weight.shape.num_elements()).sum()
    }

    /// The number of posterior parameters: means, deviations and whatever else the posteriors and priors train.
    fn num_posterior_params(&self) -> usize {
        let walk = Walk::of(self);
        let weights = walk.posteriors();
        weights
            .map(|(weight, _)| weight.shape.num_elements() + weight.attached_values)
            .sum()
    }
}

impl<M: Module> BayesianModule for M {}
