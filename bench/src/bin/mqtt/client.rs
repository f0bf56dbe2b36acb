//! One MQTT connection that publishes.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::num::NonZero;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::options::Options;
use crate::packets::{self, ACKNOWLEDGEMENT_BYTES, PacketId, Publish};
use crate::tally::{Period, Tally};
use crate::window::Window;

/// A broker that says nothing for this long is given up.
const SILENCE: Duration = Duration::from_mins(1);
const USERNAME: &str = "bench";
const READ_BYTES: usize = 16 * 1024;

/// Connected, and ready to publish.
pub struct Client {
    name: String,
    socket: TcpStream,
    publish: Publish,
    window: NonZero<u16>,
    schedule: Option<Schedule>,
}

/// When the messages of one client are due.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    first: Duration,
    interval: Duration,
}

impl Client {
    /// # Errors
    /// The broker is not there, or refuses; a topic that is too long.
    pub fn connect(options: &Options, number: u32) -> Result<Self, Failure> {
        let name = format!("client{number}");
        let socket = connected(&options.server, &name).map_err(|failure| format!("{name}: {failure}"))?;
        let topic = options.topic.replace("%c", &number.to_string());
        Ok(Self {
            name,
            socket,
            publish: Publish::new(&topic, options.payload_bytes)?,
            window: options.window,
            schedule: options.rate.map(|rate| Schedule::of(number, options.clients, rate.get())),
        })
    }

    /// Publishes until the period ends and all is acknowledged, and disconnects.
    ///
    /// # Errors
    /// The broker ends the connection, sends what it must not, or nothing for a minute.
    pub fn publish(self, period: Period) -> Result<Tally, Failure> {
        let published = match self.schedule {
            None => self.as_fast_as_acknowledged(period),
            Some(schedule) => self.when_due(schedule, period),
        };
        let tally = published.map_err(|failure| format!("{}: {failure}", self.name))?;
        (&self.socket).write_all(&packets::DISCONNECT)?;
        Ok(tally)
    }

    /// One thread writes and reads. It takes all PUBACKs that are there at once, and answers them with one write.
    fn as_fast_as_acknowledged(&self, period: Period) -> Result<Tally, Failure> {
        let (mut window, mut tally) = (Window::new(self.window), Tally::new(period)?);
        let (mut acknowledgements, mut bytes) = (Acknowledgements::of(&self.socket), Vec::new());
        loop {
            let now = Instant::now();
            if now >= period.until && window.is_idle() {
                return Ok(tally);
            }
            if now < period.until && window.free() > 0 {
                bytes.clear();
                while let Some(id) = window.take(now) {
                    self.publish.write(id, &mut bytes);
                }
                (&self.socket).write_all(&bytes)?;
            }
            let ids = acknowledgements.read()?;
            let now = Instant::now();
            for id in ids {
                tally.add(window.release(id)?, now);
            }
        }
    }

    /// One thread sleeps until a message is due and writes it; another reads.
    fn when_due(&self, schedule: Schedule, period: Period) -> Result<Tally, Failure> {
        let window = Shared { window: Mutex::new(Window::new(self.window)), freed: Condvar::new() };
        thread::scope(|scope| {
            scope.spawn(|| {
                self.write_when_due(schedule, period, &window)
                    .unwrap_or_else(|failure| crate::end(&format!("{}: {failure}", self.name).into()));
            });
            let (mut acknowledgements, mut tally) = (Acknowledgements::of(&self.socket), Tally::new(period)?);
            let expected = schedule.messages(period);
            while tally.acknowledged < expected {
                let ids = acknowledgements.read()?;
                let now = Instant::now();
                let mut window_now = window.lock();
                for id in ids {
                    tally.add(window_now.release(id)?, now);
                }
                drop(window_now);
                window.freed.notify_one();
            }
            Ok(tally)
        })
    }

    fn write_when_due(&self, schedule: Schedule, period: Period, window: &Shared) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        for due in schedule.times(period) {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            bytes.clear();
            self.publish.write(window.take(due)?, &mut bytes);
            (&self.socket).write_all(&bytes)?;
        }
        Ok(())
    }
}

impl Schedule {
    /// The clients take turns.
    fn of(number: u32, clients: u32, rate: u32) -> Self {
        let one = Duration::from_secs(1);
        Self { first: one * (number - 1) / rate, interval: one * clients / rate }
    }

    fn times(self, period: Period) -> impl Iterator<Item = Instant> {
        let first = period.start + self.first;
        (0..).map(move |message: u32| first + self.interval * message).take_while(move |due| *due < period.until)
    }

    fn messages(self, period: Period) -> u64 {
        self.times(period).map(|_| 1).sum()
    }
}

/// The window of a client with two threads.
struct Shared {
    window: Mutex<Window>,
    freed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the window is full.
    fn take(&self, due: Instant) -> Result<PacketId, Failure> {
        let mut window = self.lock();
        loop {
            if let Some(id) = window.take(due) {
                return Ok(id);
            }
            let (again, waited) = self.freed.wait_timeout(window, SILENCE).unwrap_or_else(PoisonError::into_inner);
            if waited.timed_out() {
                return Err("its window was full for a minute".into());
            }
            window = again;
        }
    }
}

/// The PUBACKs that a broker sends, as many at a time as are there.
struct Acknowledgements<'a> {
    socket: &'a TcpStream,
    buffer: Vec<u8>,
    /// Bytes of a PUBACK of which the rest is yet to come.
    partial: usize,
}

impl<'a> Acknowledgements<'a> {
    fn of(socket: &'a TcpStream) -> Self {
        Self { socket, buffer: vec![0; READ_BYTES], partial: 0 }
    }

    fn read(&mut self) -> Result<Vec<PacketId>, Failure> {
        let room = self.buffer.get_mut(self.partial..).ok_or("a part of a PUBACK fills the buffer")?;
        let read = some(self.socket.read(room))?;
        let filled = self.partial + read;
        let (whole, rest) = self.buffer.get(..filled).unwrap_or_default().as_chunks::<ACKNOWLEDGEMENT_BYTES>();
        let ids = whole.iter().map(|bytes| packets::puback(*bytes)).collect::<Result<_, _>>()?;
        self.partial = rest.len();
        self.buffer.copy_within(filled - self.partial..filled, 0);
        Ok(ids)
    }
}

fn connected(server: &str, name: &str) -> Result<TcpStream, Failure> {
    let mut socket = TcpStream::connect(server)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(SILENCE))?;
    socket.write_all(&packets::connect(name, USERNAME)?)?;
    let mut answer = [0; ACKNOWLEDGEMENT_BYTES];
    socket.read_exact(&mut answer)?;
    packets::connack(answer)?;
    Ok(socket)
}

/// The end of a connection is an error here, and so is a minute of silence.
fn some(read: io::Result<usize>) -> Result<usize, Failure> {
    match read {
        Ok(0) => Err("the broker closed the connection".into()),
        Ok(count) => Ok(count),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err("no PUBACK for a minute".into()),
        Err(error) => Err(error.into()),
    }
}
