//! A Bayesian classifier beside its deterministic twin: trained alike from the same weights, compared on the test
//! images.

use std::fmt;
use std::path::{Path, PathBuf};

use blitz_train::plot::{Plot, PlotError, ReliabilityDiagram, posterior_plot};
use blitz_train::prelude::*;
use burn::tensor::Device;
use burn::train::Interrupter;
use serde::Serialize;

use crate::classification::{self, Classifier, Data, Model, Scores, Settings, predict};
use crate::{LeftOut, RunError, RunFolder, as_text, as_text_if_any, say, unsure, written};

/// Bins of the reliability diagram, as many as of the calibration error.
const RELIABILITY_BINS: usize = 15;

/// What the trainings of a run share.
#[expect(
    missing_debug_implementations,
    reason = "Burn's `Interrupter` has none"
)]
pub struct Study<'a> {
    /// The images.
    pub data: &'a Data,
    /// How to train.
    pub settings: &'a Settings,
    /// Draws of the weights for a prediction.
    pub predict_samples: usize,
    /// Where to compute.
    pub device: Device,
    /// Where what is saved goes.
    pub folder: &'a RunFolder,
    /// Stops a training when asked to.
    pub interrupter: &'a Interrupter,
}

impl Study<'_> {
    /// Trains the Bayesian network that `init` makes, then its deterministic twin, and compares them.
    pub fn run<N: Classifier>(
        &self,
        init: impl Fn(&Device) -> N,
    ) -> Result<(Model<N>, Comparison), RunError> {
        let (data, settings) = (self.data, self.settings);
        // Burn draws the initial weights, which both start from, from the device's own generator.
        let device = self.device.clone().autodiff();
        device.seed(settings.seed);
        let network = init(&device);
        let twin = network.mean_network();
        let weights = network.num_bayesian_weights();

        let train = |network: N, name: &str| {
            let folder = self.folder.join(name);
            classification::train(network, data, settings, &device, &folder, self.interrupter)
        };
        say!("{}: a posterior over {weights} weights", data.name);
        let (model, time) = train(network, "bayesian")?;
        say!("its deterministic twin");
        let (twin, twin_time) = train(twin, "deterministic")?;

        let draws = self.predict_samples;
        let model_file = self.folder.save(model.clone(), "model.bpk")?;
        let predictive = self.predict(&model.network, draws)?;
        let labels = data.test.labels();
        let row = |name: String, predictions: &CategoricalMixture| Row {
            name,
            scores: Scores::of(predictions, &labels),
        };
        let rows = vec![
            row(format!("Bayesian, {draws} draws"), &predictive),
            row(
                "its mean network".into(),
                &self.predict(&model.network.mean_network(), 1)?,
            ),
            row(
                "deterministic twin".into(),
                &self.predict(&twin.network, 1)?,
            ),
        ];
        let (pictures, left_out) = self.pictures(&model.network, &predictive, &labels);
        let [plot, reliability, posterior] = pictures;
        let comparison = Comparison {
            data: data.name.clone(),
            train_images: data.train.len(),
            test_images: data.test.len(),
            weights,
            epochs: settings.epochs,
            batch_size: settings.batch_size,
            optimizer_steps: settings.steps(data.train.len()),
            seconds: time.as_secs_f64(),
            seconds_deterministic: twin_time.as_secs_f64(),
            disagreement: disagreement(&predictive, &labels),
            rows,
            seed: settings.seed,
            device: format!("{:?}", self.device),
            plot,
            reliability,
            posterior,
            left_out,
            model: model_file,
        };
        Ok((model, comparison))
    }

    /// The most unsure images, the reliability diagram and the posterior, and which of them could not be written.
    fn pictures<N: Classifier>(
        &self,
        network: &N,
        predictive: &CategoricalMixture,
        labels: &[usize],
    ) -> ([Option<PathBuf>; 3], Vec<LeftOut>) {
        let mut left_out = Vec::new();
        let mut save = |file, write: &dyn Fn(&Path) -> Result<(), PlotError>| {
            let path = self.folder.join(file);
            written(path, self.settings.seed, &mut left_out, write)
        };
        let pictures = [
            save("unsure.png", &|path| {
                unsure::most_unsure(path, self.data, predictive)
            }),
            save("reliability.png", &|path| {
                ReliabilityDiagram::of(predictive, labels, RELIABILITY_BINS)?
                    .with_title(format!("{}, Bayesian", self.data.name))
                    .save(path)
            }),
            save("posterior.png", &|path| {
                posterior_plot(network)?
                    .with_title(
                        "5th to 95th percentile of each layer's weights, box from 25th to 75th",
                    )
                    .save(path)
            }),
        ];
        (pictures, left_out)
    }

    /// What `network` predicts for the test images.
    pub fn predict<N: Classifier>(
        &self,
        network: &N,
        draws: usize,
    ) -> Result<CategoricalMixture, RunError> {
        let seed = self.settings.seed;
        Ok(predict(network, self.data, draws, seed, &self.device)?)
    }
}

/// The results of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The data.
    pub data: String,
    /// The number of training images.
    pub train_images: usize,
    /// The number of test images.
    pub test_images: usize,
    /// The number of weights with a posterior.
    pub weights: usize,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images in one step.
    pub batch_size: usize,
    /// Steps of the optimizer.
    pub optimizer_steps: usize,
    /// The time of the Bayesian training.
    pub seconds: f64,
    /// The time of the deterministic training.
    pub seconds_deterministic: f64,
    /// How the networks fared.
    pub rows: Vec<Row>,
    /// Mean mutual information where the prediction is right, and where it is wrong, in nats.
    pub disagreement: [Option<f64>; 2],
    /// The seed.
    pub seed: u64,
    /// The device.
    pub device: String,
    /// The plot of the images that the draws agree about least, where it could be written.
    #[serde(serialize_with = "as_text_if_any")]
    pub plot: Option<PathBuf>,
    /// The reliability diagram of the Bayesian network, where it could be written.
    #[serde(serialize_with = "as_text_if_any")]
    pub reliability: Option<PathBuf>,
    /// The plot of its posterior's deviations and signal-to-noise ratios, where it could be written.
    #[serde(serialize_with = "as_text_if_any")]
    pub posterior: Option<PathBuf>,
    /// What could not be written.
    pub left_out: Vec<LeftOut>,
    /// The saved model.
    #[serde(serialize_with = "as_text")]
    pub model: PathBuf,
}

/// How one network fared.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The network.
    pub name: String,
    /// Its scores.
    #[serde(flatten)]
    pub scores: Scores,
}

/// The mean mutual information of right and of wrong predictions.
fn disagreement(predictions: &CategoricalMixture, labels: &[usize]) -> [Option<f64>; 2] {
    let correct = predictions.correct(labels);
    [true, false].map(|wanted| {
        let all = predictions.mutual_information().into_iter().zip(&correct);
        let (mut sum, mut n) = (0.0, 0);
        for (information, _) in all.filter(|(_, correct)| **correct == wanted) {
            sum += information;
            n += 1;
        }
        (n > 0).then(|| sum / f64::from(n))
    })
}

/// The head of a table of [`Row`]s.
pub fn table_head(title: &str) -> String {
    format!("  {title:<34}  {:>8}  {:>7}  {:>7}", "error", "NLL", "ECE")
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:<34}  {}", self.name, self.scores)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} images, {} epochs in {:.0} s ({:.0} s deterministic), tested on {}\n",
            self.data,
            self.train_images,
            self.epochs,
            self.seconds,
            self.seconds_deterministic,
            self.test_images
        )?;
        writeln!(f, "{}", table_head(""))?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        if let [Some(right), Some(wrong)] = self.disagreement {
            writeln!(
                f,
                "\n  The draws disagree by {right:.3} nats where the prediction is right, by {wrong:.3} where it is wrong."
            )?;
        }
        for left_out in &self.left_out {
            writeln!(f, "\n  left out: {left_out}")?;
        }
        writeln!(f)?;
        let pictures = [
            ("the least sure", &self.plot),
            ("reliability", &self.reliability),
            ("posterior", &self.posterior),
        ];
        for (name, picture) in pictures {
            if let Some(picture) = picture {
                writeln!(f, "  {name:<16} {}", picture.display())?;
            }
        }
        write!(f, "  model            {}", self.model.display())
    }
}
