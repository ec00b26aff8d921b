//! What is predicted: a number, or a class.

use blitz_train::laplace::{
    ClassCovariance, GaussianLastLayer, LastLayerNetwork, LastLayerPosterior, SoftmaxLastLayer,
};
use blitz_train::prelude::*;
use blitz_train::{
    ExpectedNll, HeteroscedasticLikelihood, HeteroscedasticLikelihoodConfig, PredictError,
};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor};

use super::net::Net;
use super::rows::{Rows, Targets};
use super::train::{Model, normals};
use super::{DRAWS, MethodError, Predict};

/// What a method learns to predict.
pub trait Task: Copy + 'static {
    /// What was observed.
    type Targets: Targets;
    /// The distribution of a prediction.
    type Predictive: 'static;
    /// The likelihood.
    type Likelihood: OfRows<Self>;
    /// That of deterministic variational inference.
    type ByMoments: OfRows<Self>;

    /// The numbers that a network returns for an input.
    fn outputs(&self) -> usize;

    /// The likelihood, at the start of a training.
    fn likelihood(&self, device: &Device) -> Self::Likelihood;

    /// That of deterministic variational inference, and how many numbers a network returns for it.
    fn by_moments(&self) -> (Self::ByMoments, usize);

    /// What networks predict of which each is as likely as any other.
    fn mixture(
        &self,
        members: &[Model<Net, Self::Likelihood>],
        inputs: &Tensor<2>,
    ) -> Result<Self::Predictive, PredictError>;

    /// What a trained network predicts with a Laplace approximation of its last layer; `trained` trains another on some
    /// of the rows.
    ///
    /// # Errors
    ///
    /// Fails where there is no such approximation, as where the features interpolate or the noise depends on the inputs.
    fn laplace(
        &self,
        model: &Model<Net, Self::Likelihood>,
        rows: &Rows<Self::Targets>,
        trained: impl FnOnce(&Rows<Self::Targets>) -> Model<Net, Self::Likelihood>,
        seed: u64,
    ) -> Result<Predict<Self::Predictive>, MethodError>;
}

/// A likelihood of rows of numbers.
pub trait OfRows<T: Task>:
    ExpectedNll<Output = Tensor<2>, Target = T::Targets, Predictive = T::Predictive>
{
}

impl<T, L> OfRows<T> for L
where
    T: Task,
    L: ExpectedNll<Output = Tensor<2>, Target = T::Targets, Predictive = T::Predictive>,
{
}

/// A number, scaled to a deviation of 1, with normal noise that is learned.
#[derive(Debug, Clone, Copy)]
pub struct Number;

impl Task for Number {
    type Targets = Tensor<2>;
    type Predictive = NormalMixture;
    type Likelihood = GaussianLikelihood;
    type ByMoments = HeteroscedasticLikelihood;

    fn outputs(&self) -> usize {
        1
    }

    fn likelihood(&self, device: &Device) -> GaussianLikelihood {
        GaussianLikelihoodConfig::new()
            .with_noise(LikelihoodParam::Learned(0.3))
            .init(device)
    }

    fn by_moments(&self) -> (HeteroscedasticLikelihood, usize) {
        // The mean and the logarithm of the noise.
        (HeteroscedasticLikelihoodConfig::new().init(), 2)
    }

    fn mixture(
        &self,
        members: &[Model<Net>],
        inputs: &Tensor<2>,
    ) -> Result<NormalMixture, PredictError> {
        // Each with a noise of its own.
        let draws = members.iter().map(|model| normals(model, inputs));
        Ok(NormalMixture::try_from_draws(draws, 1)?)
    }

    /// The prior precision and the noise by the marginal likelihood.
    fn laplace(
        &self,
        model: &Model<Net>,
        rows: &Rows,
        _trained: impl FnOnce(&Rows) -> Model<Net>,
        seed: u64,
    ) -> Result<Predict, MethodError> {
        let noise = model.likelihood.noise_std()[0];
        let features = |inputs| model.network.features(inputs);
        let last = &model.network.output;
        let posterior = GaussianLastLayer::fit(&*rows.loader(), features, last, noise, 1.0);
        let posterior = posterior?.with_best_prior_and_noise()?;
        let noise = LikelihoodParam::Fixed(posterior.noise_std()[0]);
        let likelihood = GaussianLikelihoodConfig::new()
            .with_noise(noise)
            .init(&rows.inputs.device());
        Ok(last_layer(
            model.network.clone(),
            posterior,
            likelihood,
            seed,
        ))
    }
}

/// The same with noise that depends on the inputs: a network returns the logarithm of its deviation beside the mean.
#[derive(Debug, Clone, Copy)]
pub struct NoisyNumber;

impl Task for NoisyNumber {
    type Targets = Tensor<2>;
    type Predictive = NormalMixture;
    type Likelihood = HeteroscedasticLikelihood;
    type ByMoments = HeteroscedasticLikelihood;

    fn outputs(&self) -> usize {
        Number.by_moments().1
    }

    fn likelihood(&self, _device: &Device) -> HeteroscedasticLikelihood {
        Number.by_moments().0
    }

    fn by_moments(&self) -> (HeteroscedasticLikelihood, usize) {
        Number.by_moments()
    }

    fn mixture(
        &self,
        members: &[Model<Net, HeteroscedasticLikelihood>],
        inputs: &Tensor<2>,
    ) -> Result<NormalMixture, PredictError> {
        by_likelihood(members, inputs)
    }

    fn laplace(
        &self,
        _model: &Model<Net, HeteroscedasticLikelihood>,
        _rows: &Rows,
        _trained: impl FnOnce(&Rows) -> Model<Net, HeteroscedasticLikelihood>,
        _seed: u64,
    ) -> Result<Predict, MethodError> {
        Err(MethodError::NoiseOfInputs)
    }
}

/// One of so many classes.
#[derive(Debug, Clone, Copy)]
pub struct Class {
    /// How many there are.
    pub classes: usize,
}

impl Task for Class {
    type Targets = Tensor<1, Int>;
    type Predictive = CategoricalMixture;
    type Likelihood = CategoricalLikelihood;
    type ByMoments = CategoricalLikelihood;

    fn outputs(&self) -> usize {
        self.classes
    }

    fn likelihood(&self, _device: &Device) -> CategoricalLikelihood {
        CategoricalLikelihoodConfig::new(self.classes).init()
    }

    fn by_moments(&self) -> (CategoricalLikelihood, usize) {
        let likelihood = CategoricalLikelihoodConfig::new(self.classes).init();
        (likelihood, self.classes)
    }

    fn mixture(
        &self,
        members: &[Model<Net, CategoricalLikelihood>],
        inputs: &Tensor<2>,
    ) -> Result<CategoricalMixture, PredictError> {
        by_likelihood(members, inputs)
    }

    /// The prior precision by a fifth of the rows, with a network that has not seen them.
    fn laplace(
        &self,
        model: &Model<Net, CategoricalLikelihood>,
        rows: &Rows<Self::Targets>,
        trained: impl FnOnce(&Rows<Self::Targets>) -> Model<Net, CategoricalLikelihood>,
        seed: u64,
    ) -> Result<Predict<CategoricalMixture>, MethodError> {
        let covariance = ClassCovariance::Joint;
        let (held_out, kept) = rows.divided(rows.count() / 5);
        let on_part = trained(&kept).network;
        let features = |inputs| on_part.features(inputs);
        let fitted =
            SoftmaxLastLayer::fit(&*kept.loader(), features, &on_part.output, covariance, 1.0);
        let chosen = fitted
            .and_then(|fitted| fitted.with_held_out_prior_precision(&*held_out.loader(), features));
        let (chosen, _) = chosen?;
        let posterior = SoftmaxLastLayer::fit(
            &*rows.loader(),
            |inputs| model.network.features(inputs),
            &model.network.output,
            covariance,
            chosen.prior_precision(),
        );
        let likelihood = model.likelihood.clone();
        Ok(last_layer(
            model.network.clone(),
            posterior?,
            likelihood,
            seed,
        ))
    }
}

/// What networks predict of which each is as likely as any other, all under the likelihood of the first.
fn by_likelihood<L: Likelihood<Output = Tensor<2>>>(
    members: &[Model<Net, L>],
    inputs: &Tensor<2>,
) -> Result<L::Predictive, PredictError> {
    let outputs = members
        .iter()
        .map(|model| model.network.forward(inputs.clone()));
    members[0].likelihood.try_predictive(outputs.collect())
}

/// Predictions by draws of the last layer.
fn last_layer<L>(
    network: Net,
    posterior: impl LastLayerPosterior + 'static,
    likelihood: L,
    seed: u64,
) -> Predict<L::Predictive>
where
    L: Likelihood<Output = Tensor<2>>,
{
    let set = |net: &mut Net, last: Linear| net.output = last;
    let networks = LastLayerNetwork::new(network, posterior, set);
    let predictor = PredictorConfig::new(DRAWS)
        .with_seed(seed)
        .init_with(&networks, &likelihood);
    Box::new(move |inputs| predictor.predict(inputs.clone()))
}
