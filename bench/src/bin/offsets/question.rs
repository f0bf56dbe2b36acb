//! The lines that come in.

use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::Failure;
use crate::cluster::Cluster;

/// How often a Kafka is asked while somebody waits.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// What is asked.
#[derive(Debug, PartialEq)]
pub enum Question {
    Create { topic: String, partitions: i32 },
    Delete { topic: String },
    Sum { topic: String },
    Wait { topic: String, sum: i64, within: Duration },
}

impl FromStr for Question {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let number = |word: &str| word.parse::<i64>().map_err(|reason| format!("{word}: {reason}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["create", topic, partitions] => Ok(Self::Create {
                topic: (*topic).into(),
                partitions: i32::try_from(number(partitions)?).map_err(|reason| reason.to_string())?,
            }),
            ["delete", topic] => Ok(Self::Delete { topic: (*topic).into() }),
            ["sum", topic] => Ok(Self::Sum { topic: (*topic).into() }),
            ["wait", topic, sum, seconds] => Ok(Self::Wait {
                topic: (*topic).into(),
                sum: number(sum)?,
                within: Duration::from_secs(u64::try_from(number(seconds)?).map_err(|reason| reason.to_string())?),
            }),
            _ => Err(format!("not a question: {line}")),
        }
    }
}

impl Question {
    /// The answer, a line.
    ///
    /// # Errors
    /// What the Kafka, or librdkafka, said.
    pub fn ask(&self, cluster: &mut Cluster) -> Result<String, Failure> {
        Ok(match self {
            Self::Create { topic, partitions } => {
                cluster.create(topic, *partitions)?;
                format!("created {topic}")
            }
            Self::Delete { topic } => {
                cluster.delete(topic)?;
                format!("deleted {topic}")
            }
            Self::Sum { topic } => format!("sum {}", cluster.sum(topic)?),
            Self::Wait { topic, sum, within } => wait(cluster, topic, *sum, *within)?,
        })
    }
}

fn wait(cluster: &mut Cluster, topic: &str, wanted: i64, within: Duration) -> Result<String, Failure> {
    let deadline = Instant::now() + within;
    loop {
        let seen = cluster.sum(topic)?;
        if seen >= wanted {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
            return Ok(format!("reached {seen} {}", now.as_nanos()));
        }
        if Instant::now() >= deadline {
            return Ok(format!("timeout {seen}"));
        }
        // A Kafka tells nobody that it has got records: it has to be asked again.
        thread::sleep(POLL_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_question_or_a_mistake() {
        let wait = Question::Wait { topic: "t".into(), sum: 9, within: Duration::from_secs(3) };
        assert_eq!("wait t 9 3".parse(), Ok(wait));
        assert_eq!("create t 4".parse(), Ok(Question::Create { topic: "t".into(), partitions: 4 }));
        for line in ["", "sum", "wait t 9", "wait t 9 -3", "create t four", "create t 99999999999"] {
            assert!(line.parse::<Question>().is_err(), "{line}");
        }
    }
}
