//! A Kafka, as its administrator sees it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::bindings::{rd_kafka_offsets_for_times, rd_kafka_resp_err_t};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::MetadataPartition;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::Failure;
use crate::block_on::block_on;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a new topic may be without leaders.
const LEADERS_TIMEOUT: Duration = Duration::from_secs(30);

/// How often it is asked whether it has them.
const LEADERS_INTERVAL: Duration = Duration::from_millis(20);

pub struct Cluster {
    client: AdminClient<DefaultClientContext>,
    /// The partitions of topics that were asked about: asking for them again and again would be half of the work.
    partitions: HashMap<String, Vec<i32>>,
}

impl Cluster {
    /// Does not wait for a connection.
    ///
    /// # Errors
    /// librdkafka refused the servers.
    pub fn new(servers: &str) -> Result<Self, KafkaError> {
        let client =
            ClientConfig::new().set("bootstrap.servers", servers).set("client.id", "bench_offsets").create()?;
        Ok(Self { client, partitions: HashMap::new() })
    }

    /// Makes a topic, unless it is there, and waits until all its partitions have a leader.
    ///
    /// # Errors
    /// What the Kafka said, or that leaders did not come.
    pub fn create(&mut self, topic: &str, partitions: i32) -> Result<(), Failure> {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        settle(block_on(self.client.create_topics([&new], &options())), RDKafkaErrorCode::TopicAlreadyExists)?;
        let deadline = Instant::now() + LEADERS_TIMEOUT;
        while !self.find_leaders(topic)? {
            if Instant::now() >= deadline {
                return Err(format!("{topic} has no leaders").into());
            }
            // A Kafka tells nobody that it has elected one: it has to be asked again.
            std::thread::sleep(LEADERS_INTERVAL);
        }
        Ok(())
    }

    /// Removes a topic, unless it is gone.
    ///
    /// # Errors
    /// What the Kafka said.
    pub fn delete(&mut self, topic: &str) -> Result<(), Failure> {
        self.partitions.remove(topic);
        settle(block_on(self.client.delete_topics(&[topic], &options())), RDKafkaErrorCode::UnknownTopicOrPartition)
    }

    /// The end offsets of all partitions, added up: one request to each leader.
    ///
    /// # Errors
    /// There is no such topic, or the Kafka does not answer.
    pub fn sum(&mut self, topic: &str) -> Result<i64, Failure> {
        if !self.partitions.contains_key(topic) && !self.find_leaders(topic)? {
            return Err(format!("{topic} has no leaders").into());
        }
        let mut offsets = TopicPartitionList::new();
        for partition in self.partitions.get(topic).into_iter().flatten() {
            offsets.add_partition_offset(topic, *partition, Offset::End)?;
        }
        self.resolve(&offsets)?;
        offsets.elements().iter().map(end).sum()
    }

    /// Writes the offsets in place of END.
    fn resolve(&self, offsets: &TopicPartitionList) -> Result<(), Failure> {
        let timeout = i32::try_from(TIMEOUT.as_millis())?;
        // SAFETY: client and list are alive during the call, which writes offsets and errors into the list, whose only owner
        // is our caller. END stands for the time of the latest, as it does in Kafka's request.
        let result = unsafe { rd_kafka_offsets_for_times(self.client.inner().native_ptr(), offsets.ptr(), timeout) };
        if result == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            Ok(())
        } else {
            Err(RDKafkaErrorCode::from(result).into())
        }
    }

    /// Whether all partitions of a topic have a leader. They are known from then on.
    fn find_leaders(&mut self, topic: &str) -> Result<bool, Failure> {
        let metadata = self.client.inner().fetch_metadata(Some(topic), TIMEOUT)?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(false) };
        let partitions = found.partitions();
        let have_leaders = partitions.iter().all(|partition| partition.error().is_none() && partition.leader() >= 0);
        if found.error().is_some() || partitions.is_empty() || !have_leaders {
            return Ok(false);
        }
        self.partitions.insert(topic.to_owned(), partitions.iter().map(MetadataPartition::id).collect());
        Ok(true)
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

/// What became of a request about one topic. `fine` is an error that says: it is so already.
fn settle(result: KafkaResult<Vec<TopicResult>>, fine: RDKafkaErrorCode) -> Result<(), Failure> {
    for topic in result? {
        match topic {
            Err((_, code)) if code != fine => return Err(code.into()),
            _ => {}
        }
    }
    Ok(())
}

fn end(partition: &TopicPartitionListElem<'_>) -> Result<i64, Failure> {
    partition.error()?;
    match partition.offset() {
        Offset::Offset(offset) => Ok(offset),
        other => Err(format!("{}: an end offset of {other:?}", partition.topic()).into()),
    }
}
