//! How well each model's scores tell images from elsewhere.

use std::fmt;
use std::path::PathBuf;

use blitz_train::metric::{ood_aupr_out, ood_auroc, ood_fpr95};
use blitz_train::prelude::CategoricalMixture;
use example_support::classification::Scores;
use example_support::{LeftOut, as_text_if_any};
use serde::Serialize;

/// One model's predictions.
#[derive(Debug)]
pub struct Predicted {
    /// The model.
    pub model: &'static str,
    /// Of the test images.
    pub inside: CategoricalMixture,
    /// Of each set from elsewhere, with its name.
    pub outside: Vec<(&'static str, CategoricalMixture)>,
}

/// How well one score of one model tells one set.
#[derive(Debug, Serialize)]
pub struct Detection {
    /// The model.
    pub model: &'static str,
    /// The set from elsewhere.
    pub outside: &'static str,
    /// The score.
    pub score: &'static str,
    /// The chance that an image from elsewhere scores higher than a test image.
    pub auroc: f64,
    /// The average precision of finding those from elsewhere.
    pub aupr: f64,
    /// The share of those from elsewhere that are accepted when 95 % of the test images are.
    pub fpr95: f64,
}

/// How a model fares on its own test images.
#[derive(Debug, Serialize)]
pub struct Inside {
    /// The model.
    pub model: &'static str,
    /// Its scores.
    #[serde(flatten)]
    pub scores: Scores,
}

/// The results of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The data.
    pub data: String,
    /// The number of training images.
    pub train_images: usize,
    /// The number of test images.
    pub test_images: usize,
    /// Passes over the training images.
    pub epochs: usize,
    /// Seconds of all trainings.
    pub seconds: f64,
    /// On the test images.
    pub inside: Vec<Inside>,
    /// On images from elsewhere.
    pub detection: Vec<Detection>,
    /// The plot, where it could be written.
    #[serde(serialize_with = "as_text_if_any")]
    pub plot: Option<PathBuf>,
    /// What could not be written.
    pub left_out: Vec<LeftOut>,
}

/// A name, what it is of a prediction, and whether it needs draws that can disagree.
type Score = (&'static str, fn(&CategoricalMixture) -> Vec<f64>, bool);

/// The scores, each larger for images that look foreign.
const SCORES: [Score; 3] = [
    (
        "1 − confidence",
        |p| p.confidence().iter().map(|c| 1.0 - c).collect(),
        false,
    ),
    ("entropy", CategoricalMixture::entropy, false),
    (
        "mutual information",
        CategoricalMixture::mutual_information,
        true,
    ),
];

/// All scores of a model on one of the sets.
pub fn detections(predicted: &Predicted, set: usize) -> impl Iterator<Item = Detection> {
    let (name, outside) = &predicted.outside[set];
    // One draw has nothing to disagree with.
    let has_draws = predicted.inside.draws() > 1;
    let scores = SCORES.into_iter();
    let scores = scores.filter(move |(_, _, needs_draws)| has_draws || !needs_draws);
    scores.map(move |(score, of, _)| {
        let (inside, outside) = (of(&predicted.inside), of(outside));
        Detection {
            model: predicted.model,
            outside: name,
            score,
            auroc: ood_auroc(&inside, &outside),
            aupr: ood_aupr_out(&inside, &outside),
            fpr95: ood_fpr95(&inside, &outside),
        }
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} images of the classes that are trained, {} epochs, all trainings {:.0} s\n",
            self.data, self.train_images, self.epochs, self.seconds
        )?;
        writeln!(
            f,
            "  on {:<28}  {:>8}  {:>7}  {:>7}",
            format!("{} test images", self.test_images),
            "error",
            "NLL",
            "ECE"
        )?;
        for inside in &self.inside {
            writeln!(f, "  {:<31}  {}", inside.model, inside.scores)?;
        }
        let mut outside = "";
        for row in &self.detection {
            if row.outside != outside {
                outside = row.outside;
                let title = format!("against: {outside}");
                writeln!(
                    f,
                    "\n  {title:<31}  {:<20} {:>6} {:>6} {:>6}",
                    "score", "AUROC", "AUPR", "FPR95"
                )?;
            }
            writeln!(
                f,
                "  {:<31}  {:<20} {:>6.3} {:>6.3} {:>6.3}",
                row.model, row.score, row.auroc, row.aupr, row.fpr95
            )?;
        }
        for left_out in &self.left_out {
            writeln!(f, "\n  left out: {left_out}")?;
        }
        match &self.plot {
            Some(plot) => write!(f, "\n  the entropies   {}", plot.display()),
            None => Ok(()),
        }
    }
}
