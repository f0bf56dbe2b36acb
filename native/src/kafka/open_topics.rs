//! The topics that a client has opened, each once: what is known of a topic must not be in two places.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::isolation::Isolation;
use crate::kafka::native_client::NativeClient;
use crate::kafka::native_parts::TopicHandle;
use crate::rules::topic::KafkaTopic;

/// The topics of one client.
#[derive(Default)]
pub struct OpenTopics(Mutex<HashMap<String, Arc<TopicHandle>>>);

impl OpenTopics {
    /// A topic by its name, the same one for each call. Does not wait for Kafka.
    ///
    /// # Errors
    ///
    /// librdkafka made no handle.
    pub fn open(
        &self,
        client: &NativeClient,
        isolation: Option<&Isolation>,
        topic: &KafkaTopic,
    ) -> Result<Arc<TopicHandle>, RDKafkaErrorCode> {
        // Before the lock: the isolation asks for topics with its own lock held. A topic that leaves it meanwhile is told so with its
        // next record.
        let is_isolated = isolation.is_some_and(|isolation| isolation.has(topic.as_str()));
        let mut topics = self.topics();
        if let Some(known) = topics.get(topic.as_str()) {
            return Ok(Arc::clone(known));
        }
        let handle = Arc::new(TopicHandle::new(client, topic)?);
        handle.is_isolated.store(is_isolated, Ordering::Release);
        topics.insert(topic.as_str().to_owned(), Arc::clone(&handle));
        Ok(handle)
    }

    /// A topic that was opened before.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<TopicHandle>> {
        self.topics().get(name).map(Arc::clone)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<TopicHandle>> {
        self.topics().values().map(Arc::clone).collect()
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<String, Arc<TopicHandle>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
