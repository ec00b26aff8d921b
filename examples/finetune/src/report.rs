//! What a run found: as numbers for `--json`, and as text to read.

use std::fmt;
use std::path::PathBuf;

use blitz_train::metric::ood_auroc;
use blitz_train::prelude::CategoricalMixture;
use example_support::{LeftOut, MeanError, as_text_if_any, mean};
use serde::{Deserialize, Serialize};

/// What one method predicts.
#[derive(Debug, Clone)]
pub struct Predicted {
    /// Of the test examples.
    pub test: CategoricalMixture,
    /// Of those near.
    pub near: CategoricalMixture,
    /// Of those far.
    pub far: CategoricalMixture,
}

/// How a method did, and what it took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scores {
    /// The share of the test examples that is recognised.
    pub accuracy: f64,
    /// The mean negative log likelihood, in nats.
    pub nll: f64,
    /// The expected calibration error.
    pub ece: f64,
    /// The chance that an example near has a larger entropy than a test example.
    pub ood_auroc_near: f64,
    /// The same of examples far.
    pub ood_auroc_far: f64,
    /// Seconds of the training and of what follows it, without the rule.
    pub seconds: f64,
    /// How many numbers were trained.
    pub trainable: usize,
}

/// A method on the labels of one seed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The method.
    pub method: String,
    /// The seed.
    pub seed: u64,
    /// The setting that the rule chose, if there is one.
    pub setting: Option<f64>,
    /// How it did.
    #[serde(flatten)]
    pub scores: Scores,
}

impl Row {
    /// The scores of predictions.
    pub fn new(
        method: &str,
        seed: u64,
        (setting, seconds, trainable): (Option<f64>, f64, usize),
        predicted: &Predicted,
        labels: &[usize],
    ) -> Self {
        let Predicted { test, near, far } = predicted;
        let inside = test.entropy();
        Self {
            method: method.into(),
            seed,
            setting,
            scores: Scores {
                accuracy: test.accuracy(labels),
                nll: mean(&test.nll(labels)),
                ece: test.ece(labels),
                ood_auroc_near: ood_auroc(&inside, &near.entropy()),
                ood_auroc_far: ood_auroc(&inside, &far.entropy()),
                seconds,
                trainable,
            },
        }
    }
}

/// A method over all seeds: means, and their standard errors.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The method.
    pub method: String,
    /// How it did.
    #[serde(flatten)]
    pub scores: Scores,
    /// The standard errors of accuracy, NLL and ECE over the seeds; none of a single seed.
    pub errors: [Option<f64>; 3],
    /// The settings that the rule chose, by seed.
    pub settings: Vec<f64>,
    /// How many seeds it is the mean of.
    pub seeds: usize,
}

impl Summary {
    /// Of the rows of one method.
    pub fn of(rows: &[&Row]) -> Self {
        let over = |value: fn(&Scores) -> f64| {
            MeanError::of(
                &rows
                    .iter()
                    .map(|row| value(&row.scores))
                    .collect::<Vec<_>>(),
            )
        };
        let [accuracy, nll, ece] = [
            over(|scores| scores.accuracy),
            over(|scores| scores.nll),
            over(|scores| scores.ece),
        ];
        Self {
            method: rows[0].method.clone(),
            scores: Scores {
                accuracy: accuracy.mean,
                nll: nll.mean,
                ece: ece.mean,
                ood_auroc_near: over(|scores| scores.ood_auroc_near).mean,
                ood_auroc_far: over(|scores| scores.ood_auroc_far).mean,
                seconds: over(|scores| scores.seconds).mean,
                trainable: rows[0].scores.trainable,
            },
            errors: [accuracy, nll, ece].map(|over| over.standard_error),
            settings: rows.iter().filter_map(|row| row.setting).collect(),
            seeds: rows.len(),
        }
    }

    /// Half of the ECE of LoRA alone, a lower NLL, and no more than half a point of accuracy lost.
    fn is_what_was_hoped_for(&self, lora: &Self) -> bool {
        let (it, lora) = (&self.scores, &lora.scores);
        let is_calibrated = it.ece <= 0.5 * lora.ece && it.nll < lora.nll;
        is_calibrated && it.accuracy >= lora.accuracy - 0.005
    }
}

/// The results of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What was learnt.
    pub task: String,
    /// Its classes.
    pub classes: Vec<String>,
    /// Labels of each, which a saved adapter does not tell.
    pub labels_per_class: Option<usize>,
    /// The labels of a seed in all: fewer than so many for each class where a class has fewer.
    pub labels: Option<usize>,
    /// Examples of the test, near and far.
    pub examples: [usize; 3],
    /// Seconds of the run.
    pub seconds: f64,
    /// Each method over all seeds.
    pub methods: Vec<Summary>,
    /// Each method for each seed.
    pub rows: Vec<Row>,
    /// What failed and is left out.
    pub left_out: Vec<LeftOut>,
    /// The adapters of LoRA alone, by seed.
    pub adapters: Vec<String>,
    /// The learning rate that the rule chose, by seed; none where no rate could be trained with.
    pub rates: Vec<Option<f64>>,
    /// The reliability of LoRA alone, and of the method with the lowest NLL, for the first seed that has any.
    #[serde(serialize_with = "as_text_if_any")]
    pub plot: Option<PathBuf>,
    /// How to run the real model, if this was not it.
    #[serde(skip)]
    pub hint: bool,
}

impl Report {
    /// The methods that do what one would hope for, if there is LoRA alone to compare with.
    fn hoped_for(&self) -> Option<Vec<&str>> {
        let (lora, others) = self.methods.split_first()?;
        if lora.method != crate::args::Method::Lora.name() || others.is_empty() {
            return None;
        }
        let good = others.iter().filter(|it| it.is_what_was_hoped_for(lora));
        Some(good.map(|it| it.method.as_str()).collect())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [test, near, far] = self.examples;
        write!(f, "{}", self.task)?;
        if let (Some(a_class), Some(labels)) = (self.labels_per_class, self.labels) {
            match labels == a_class * self.classes.len() {
                true => write!(f, ", {a_class} labels a class")?,
                false => write!(f, ", up to {a_class} labels a class, {labels} in all")?,
            }
        }
        writeln!(
            f,
            ", {:.0} s\ntested on {test}, with {near} near and {far} far\n",
            self.seconds
        )?;
        writeln!(
            f,
            "  {:<20} {:>13} {:>15} {:>15} {:>12} {:>10} {:>8} {:>9}",
            "", "accuracy, %", "NLL", "ECE", "AUROC near", "AUROC far", "seconds", "trained"
        )?;
        for row in &self.methods {
            let scores = &row.scores;
            let means = [scores.accuracy, scores.nll, scores.ece];
            let over = |at: usize| MeanError {
                mean: means[at],
                standard_error: row.errors[at],
            };
            writeln!(
                f,
                "  {:<20} {:>13} {:>15} {:>15} {:>12.3} {:>10.3} {:>8.1} {:>9}",
                row.method,
                over(0).scaled(100.0).with_decimals(1),
                over(1).with_decimals(3),
                over(2).with_decimals(3),
                scores.ood_auroc_near,
                scores.ood_auroc_far,
                scores.seconds,
                scores.trainable
            )?;
        }
        for left_out in &self.left_out {
            writeln!(f, "\n  left out: {left_out}")?;
        }
        if let Some(good) = self.hoped_for() {
            let good = match good.is_empty() {
                true => "none".to_string(),
                false => good.join("; "),
            };
            writeln!(
                f,
                "\n  half of LoRA's ECE, a lower NLL, and no more than half a point less accurate: {good}"
            )?;
        }
        if let Some(plot) = &self.plot {
            write!(f, "\n  reliability   {}", plot.display())?;
        }
        for adapter in &self.adapters {
            write!(f, "\n  LoRA alone    {adapter}")?;
        }
        if self.hint {
            write!(
                f,
                "\n\n  This was a small stand-in. For MiniLM-L6 and texts:\n    examples/finetune/get_model.sh minilm\n    cargo run --release -p finetune -- --model minilm --data packages.tsv"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_named_and_labels_are_counted() {
        let left_out = LeftOut::new("TFB", 3, "the adapters are not trained");
        let mut report = Report {
            task: "digits".into(),
            classes: Vec::new(),
            labels_per_class: None,
            labels: None,
            examples: [1, 2, 3],
            seconds: 1.0,
            methods: Vec::new(),
            rows: Vec::new(),
            left_out: vec![left_out],
            adapters: Vec::new(),
            rates: Vec::new(),
            plot: None,
            hint: false,
        };
        let text = report.to_string();
        let line = "  left out: TFB, seed 3: the adapters are not trained\n";
        assert!(text.contains(line), "{text}");
        assert!(!text.contains("labels a class"), "{text}");

        // A class with fewer than the others.
        report.classes = ["maths", "mail"].map(String::from).to_vec();
        (report.labels_per_class, report.labels) = (Some(5), Some(9));
        let text = report.to_string();
        let line = "digits, up to 5 labels a class, 9 in all, 1 s\n";
        assert!(text.starts_with(line), "{text}");
    }
}
