//! From data to intervals: a curve learnt from points on either side of a gap.

use blitz_train::prelude::*;
use burn::data::{dataloader::DataLoaderBuilder, dataset::InMemDataset};
use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use burn::train::{Learner, SupervisedTraining};

#[derive(Module, Debug)]
struct Net {
    hidden: BayesianLinear,
    output: BayesianLinear,
}

impl Network for Net {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        // Hidden units that answer near one place: what is learnt there says nothing of elsewhere.
        let bumps = self.hidden.forward(x).square().neg().exp();
        self.output.forward(bumps)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // sin 2x with noise, for 0.6 < |x| < 2: a gap in the middle.
    let mut noise = [0.0; 100];
    NoiseKey::new(1, 0, 0).fill_standard_normal(0, &mut noise);
    let point = |i: usize| {
        let x = [1.0, -1.0][i % 2] * (0.6 + 0.014 * (i * 37 % 100) as f32);
        ([x], [(2.0 * x).sin() + 0.1 * noise[i]])
    };
    let [train, valid] = [0..80, 80..100].map(|rows| {
        let points = InMemDataset::new(rows.map(point).collect());
        DataLoaderBuilder::new(RowBatcher)
            .batch_size(16)
            .set_device(Device::flex())
            .build(points)
    });

    let device = Device::flex().autodiff();
    device.seed(1); // for the initial means
    let std = 2.0;
    let hidden = BayesianLinearConfig::new(1, 20)
        .with_initializer(Initializer::Normal { mean: 0.0, std })
        .with_prior(PriorConfig::normal(std))
        .init(&device);
    let output = BayesianLinearConfig::new(20, 1).init(&device);
    let likelihood = GaussianLikelihoodConfig::new().init(&device); // learns the noise
    let elbo = ElboConfig::new(80).with_samples(2).init(); // 80 training examples, 2 draws a step
    let model = ElboModel::new(Net { hidden, output }, likelihood, elbo);

    let training = SupervisedTraining::new("runs/hello", train, valid)
        .metrics((NllMetric::new(), KlMetric::new(), RmseMetric::new()))
        .renderer(Box::new(EpochLines::every(25)))
        .num_epochs(100);
    let learner = Learner::new(model, FusedAdamConfig::new().init(), 0.03);
    let model = fit(training, learner)?.model;

    let x = [-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0].map(|x| [x]);
    let y = model.try_predict(Tensor::from_floats(x, &Device::flex()), 200, 0)?;
    println!("    x    mean   95 % interval");
    for (([x], mean), i) in x.iter().zip(y.mean()).zip(y.interval(0.95)) {
        println!("{x:5.1} {mean:7.2}   {:5.2} to {:5.2}", i.lower, i.upper);
    }
    Ok(())
}
