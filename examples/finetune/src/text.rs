//! Texts of a table, read by a tokenizer and run through the layers that stay as they are.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use example_support::tabular::read_text;
use example_support::{RunError, say};
use tokenizers::{Tokenizer, TruncationParams};

use crate::args::Cli;
use crate::bert::{self, Bert, Shape};
use crate::data::{Sequences, Task, check_adapters, choose, split, through};
use crate::methods::check_prediction;
use crate::model::saved;

/// Texts that are run at a time.
const AT_ONCE: usize = 32;

/// A tokenizer that fits a network.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    tokenizer: Tokenizer,
    /// Those of the network.
    words: usize,
}

impl Reader {
    /// That of `tokenizer.json`, which cuts a text off after `tokens` tokens.
    ///
    /// # Errors
    ///
    /// Returns an error if it can't be read, or if it has not as many words as the network.
    pub fn open(folder: &Path, shape: &Shape, tokens: usize) -> Result<Self, RunError> {
        let path = folder.join("tokenizer.json");
        let fail = |reason: String| RunError::data(&path, reason);
        let tokenizer = without_panic(|| Tokenizer::from_file(&path));
        let mut tokenizer = tokenizer.map_err(&fail)?;
        let words = tokenizer.get_vocab_size(true);
        if words != shape.vocab_size {
            return Err(fail(format!(
                "the tokenizer has {words} words, the network {}: it is another network's",
                shape.vocab_size
            )));
        }
        let longest = shape.max_position_embeddings;
        if tokens > longest {
            let reason = format!("the network takes {longest} tokens, not {tokens}");
            return Err(RunError::Setting(reason));
        }
        let truncation = TruncationParams {
            max_length: tokens,
            ..TruncationParams::default()
        };
        let truncated = tokenizer.with_truncation(Some(truncation));
        truncated.map_err(|error| fail(error.to_string()))?;
        tokenizer.with_padding(None);
        Ok(Self {
            path,
            tokenizer,
            words,
        })
    }

    /// The numbers of a text's tokens.
    ///
    /// # Errors
    ///
    /// Returns an error for a text without a token, and for a token with a number that no word of the network has: as
    /// many words need not be numbered one after the other.
    pub fn ids(&self, text: &str) -> Result<Vec<u32>, RunError> {
        let encoding = without_panic(|| self.tokenizer.encode_fast(text, true));
        let encoding = encoding.map_err(|error| RunError::data(&self.path, error))?;
        let ids = encoding.get_ids();
        if ids.is_empty() {
            let reason = format!("the tokenizer makes no token of the text {text:?}");
            return Err(RunError::data(&self.path, reason));
        }
        if let Some(at) = ids.iter().position(|id| *id as usize >= self.words) {
            let word = self.tokenizer.id_to_token(ids[at]).unwrap_or_default();
            let reason = format!(
                "the word {word:?} has the number {}, the network's words have those below {}",
                ids[at], self.words
            );
            return Err(RunError::data(&self.path, reason));
        }
        Ok(ids.to_vec())
    }
}

/// What the crate `tokenizers` does with a file: where that is damaged, it panics in places where others return an
/// error.
fn without_panic<T>(run: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let done = catch_unwind(AssertUnwindSafe(run));
    std::panic::set_hook(hook);
    match done {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("it is no tokenizer that could be read and used".into()),
    }
}

/// Texts, and the section of each and its line.
#[derive(Debug, Default)]
pub struct Texts {
    /// The texts.
    pub texts: Vec<String>,
    /// Of each.
    pub sections: Vec<String>,
    lines: Vec<usize>,
}

/// The texts of a table.
#[derive(Debug, Default)]
pub struct Table {
    /// To learn from.
    pub train: Texts,
    /// Of the same sections.
    pub test: Texts,
    /// Of other sections, of the same kind.
    pub near: Texts,
    /// Of another kind.
    pub far: Texts,
}

impl Table {
    /// The table in a file.
    ///
    /// # Errors
    ///
    /// Returns an error that names the line if it is no such table.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let fail = |line: usize, reason: String| {
            RunError::data(path, format!("line {}: {reason}", line + 1))
        };
        let text = read_text(path)?;
        let mut table = Self::default();
        // Editors leave blank lines at the end.
        let mut lines = text.trim_end_matches('\n').lines().enumerate();
        match lines.next() {
            Some((_, "split\tsection\ttext")) => {}
            _ => {
                let reason = "it has to be `split`, `section`, `text`, separated by tabs";
                return Err(fail(0, reason.into()));
            }
        }
        for (line, row) in lines {
            let cells: Vec<&str> = row.splitn(3, '\t').collect();
            let [split, section, text] = cells[..] else {
                let reason = format!("{} cells, not 3 separated by tabs", cells.len());
                return Err(fail(line, reason));
            };
            let texts = match split {
                "train" => &mut table.train,
                "test" => &mut table.test,
                "near" => &mut table.near,
                "far" => &mut table.far,
                other => {
                    let reason = format!("`{other}` is none of train, test, near and far");
                    return Err(fail(line, reason));
                }
            };
            let section = section.trim();
            if section.is_empty() || text.trim().is_empty() {
                return Err(fail(line, "its section or its text is empty".into()));
            }
            texts.texts.push(text.into());
            texts.sections.push(section.into());
            texts.lines.push(line);
        }
        for (name, texts) in [
            ("train", &table.train),
            ("test", &table.test),
            ("near", &table.near),
            ("far", &table.far),
        ] {
            if texts.texts.is_empty() {
                return Err(RunError::data(path, format!("there is no text of {name}")));
            }
        }
        for (name, outside) in [("near", &table.near), ("far", &table.far)] {
            let mut rows = outside.sections.iter().zip(&outside.lines);
            if let Some((section, line)) = rows.find(|(s, _)| table.train.sections.contains(s)) {
                let reason =
                    format!("section {section} is learnt, and no text of it can be {name}");
                return Err(fail(*line, reason));
            }
        }
        Ok(table)
    }

    /// The sections of the training texts, in the order of the alphabet.
    ///
    /// # Errors
    ///
    /// Returns an error if there is only one.
    pub fn classes(&self, path: &Path) -> Result<Vec<String>, RunError> {
        let mut classes = self.train.sections.clone();
        classes.sort();
        classes.dedup();
        match &classes[..] {
            [only] => {
                let reason =
                    format!("all training texts are of section {only}, at least 2 are needed");
                Err(RunError::data(path, reason))
            }
            _ => Ok(classes),
        }
    }
}

/// The network in `folder` and the texts of `data`.
pub(crate) fn task(
    cli: &Cli,
    folder: &Path,
    data: &Path,
    device: &Device,
) -> Result<Task, RunError> {
    let table = Table::read(data)?;
    let classes = table.classes(data)?;
    let class = |section: &String| {
        classes.binary_search(section).map_err(|_| {
            let reason = format!("section {section} has test texts and no training text");
            RunError::data(data, reason)
        })
    };
    let labels = |texts: &Texts| {
        texts
            .sections
            .iter()
            .map(class)
            .collect::<Result<Vec<_>, _>>()
    };
    let (pool, test) = (labels(&table.train)?, labels(&table.test)?);
    let seeds = cli.repetitions().into_iter();
    let chosen = seeds.map(|seed| choose(&pool, &classes, cli.labels_per_class, seed));
    let chosen = chosen.collect::<Result<Vec<_>, _>>()?;

    let (shape, net) = Bert::load(folder, &device.clone().autodiff())?;
    check_adapters(cli, shape.num_hidden_layers, shape.hidden_size)?;
    check_prediction(cli, classes.len())?;
    let reader = Reader::open(folder, &shape, cli.tokens)?;
    let [frozen, upper] = split(&net.encoder, cli.layers);
    let files = bert::digest(folder)?;
    // Before the layers below are run, which takes its time.
    let saved = saved(cli, &upper, &classes, files.clone(), device)?;
    let net = net.valid();
    let run = |texts: Vec<&String>, labels: Vec<usize>| -> Result<Sequences, RunError> {
        let ids = texts.into_iter().map(|text| reader.ids(text));
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        let mut examples: Vec<(Vec<u32>, usize)> = ids.into_iter().zip(labels).collect();
        // A batch is as long as its longest text.
        examples.sort_by_key(|(ids, _)| ids.len());
        let batches = examples.chunks(AT_ONCE).map(|batch| {
            let ids: Vec<&[u32]> = batch.iter().map(|(ids, _)| &ids[..]).collect();
            let labels = batch.iter().map(|(_, label)| *label).collect();
            (net.tokens(&ids, device), labels)
        });
        Ok(through(&frozen, batches))
    };
    say!("the layers that stay as they are");
    let labelled = chosen.into_iter().map(|chosen| {
        let texts = chosen.iter().map(|at| &table.train.texts[*at]).collect();
        run(texts, chosen.iter().map(|at| pool[*at]).collect())
    });
    let outside = |texts: &Texts| run(texts.texts.iter().collect(), vec![0; texts.texts.len()]);
    Ok(Task {
        name: format!("{} classes of {}", classes.len(), data.display()),
        labelled: labelled.collect::<Result<_, _>>()?,
        test: run(table.test.texts.iter().collect(), test)?,
        near: outside(&table.near)?,
        far: outside(&table.far)?,
        files_and_classes: files.names(&classes),
        classes,
        upper,
        saved,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.tsv");
        std::fs::write(&path, text).unwrap();
        Table::read(&path).unwrap_err().to_string()
    }

    #[test]
    fn a_table_that_cannot_be_read_is_named_with_its_line() {
        for (text, reason) in [
            ("", "line 1: it has to be `split`"),
            ("split,section,text\n", "line 1: it has to be"),
            ("split\tsection\ttext\ntrain\ta\n", "line 2: 2 cells, not 3"),
            (
                "split\tsection\ttext\nvalid\ta\tb\n",
                "line 2: `valid` is none of",
            ),
            (
                "split\tsection\ttext\ntrain\ta\tb\n",
                "there is no text of test",
            ),
            (
                "split\tsection\ttext\ntrain\t\tb\n",
                "line 2: its section or its text is empty",
            ),
            (
                "split\tsection\ttext\ntrain\ta\tb\ntrain\ta\t \n",
                "line 3: its section or its text is empty",
            ),
            (
                "split\tsection\ttext\ntrain\ta\tb\n\ntrain\ta\tb\n",
                "line 3: 1 cells, not 3",
            ),
            (
                "split\tsection\ttext\nnear\tc\tb\nnear\ta \tb\ntest\ta\tb\nfar\td\tb\ntrain\ta\tb\n",
                "line 3: section a is learnt, and no text of it can be near",
            ),
            (
                "split\tsection\ttext\ntrain\ta\tb\ntest\ta\tb\nnear\tc\tb\nfar\ta\tb\n",
                "line 5: section a is learnt, and no text of it can be far",
            ),
        ] {
            let error = refusal(text);
            assert!(
                error.contains("texts.tsv") && error.contains(reason),
                "{error}"
            );
        }
    }

    #[test]
    fn blanks_about_sections_and_at_the_end_are_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.tsv");
        let rows = "train\t a\tb\ntrain\ta \tb\ntest\ta\tb\nnear\tc\tb\nfar\td\tb\n";
        std::fs::write(&path, format!("split\tsection\ttext\n{rows}\n\n")).unwrap();
        let table = Table::read(&path).unwrap();
        assert_eq!(table.train.sections, ["a", "a"]);
        assert_eq!(table.far.texts, ["b"]);
    }

    #[test]
    fn texts_of_one_class_are_refused() {
        let texts = |sections: &[&str]| Texts {
            lines: (1..=sections.len()).collect(),
            texts: sections.iter().map(|_| "text".into()).collect(),
            sections: sections.iter().map(|section| section.to_string()).collect(),
        };
        let classes = |sections: &[&str]| {
            let train = texts(sections);
            let table = Table {
                train,
                ..Table::default()
            };
            table.classes(Path::new("texts.tsv"))
        };
        assert_eq!(
            classes(&["mail", "maths", "mail"]).unwrap(),
            ["mail", "maths"]
        );
        let error = classes(&["mail", "mail"]).unwrap_err().to_string();
        let reason = "texts.tsv: all training texts are of section mail, at least 2 are needed";
        assert_eq!(error, reason);
    }

    #[test]
    fn a_tokenizer_of_another_network_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        let write = |b: u32| {
            let words = serde_json::json!({"[UNK]": 0, "a": 1, "b": b});
            let file = serde_json::json!({
                "version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"},
                "model": {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"},
            });
            std::fs::write(&path, file.to_string()).unwrap();
        };
        write(2);
        let shape = |words| Shape {
            vocab_size: words,
            hidden_size: 8,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            intermediate_size: 8,
            max_position_embeddings: 7,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            hidden_act: "gelu".into(),
            model_type: None,
            position_embedding_type: "absolute".into(),
        };
        let refusal = |words, tokens| {
            let refused = Reader::open(folder.path(), &shape(words), tokens);
            refused.unwrap_err().to_string()
        };
        let error = refusal(11, 4);
        assert!(
            error.contains("tokenizer.json: the tokenizer has 3 words, the network 11"),
            "{error}"
        );
        assert_eq!(refusal(3, 8), "the network takes 7 tokens, not 8");
        let reader = Reader::open(folder.path(), &shape(3), 4).unwrap();
        assert_eq!(reader.ids("b a x a b").unwrap(), [2, 1, 0, 1]);
        let error = reader.ids(" ").unwrap_err().to_string();
        let reason = "tokenizer.json: the tokenizer makes no token of the text \" \"";
        assert!(error.contains(reason), "{error}");
        // As many words as the network has, and one with a number beyond.
        write(50);
        let reader = Reader::open(folder.path(), &shape(3), 4).unwrap();
        assert_eq!(reader.ids("a").unwrap(), [1]);
        let error = reader.ids("a b").unwrap_err().to_string();
        let reason = "tokenizer.json: the word \"b\" has the number 50, the network's words have those below 3";
        assert!(error.contains(reason), "{error}");
        std::fs::write(&path, "nothing").unwrap();
        assert!(refusal(3, 4).contains("tokenizer.json: "));
        // Cut off in the words, where the crate `tokenizers` panics.
        let cut =
            r#"{"version":"1.0","added_tokens":[],"model":{"type":"WordLevel","vocab":{"a":0,"b"#;
        std::fs::write(&path, cut).unwrap();
        assert!(refusal(3, 4).contains("tokenizer.json: "));
    }
}
