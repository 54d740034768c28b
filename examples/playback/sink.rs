//! Where the PCM goes: to the sound device, or nowhere at the same pace.

pub use imp::Sink;

#[cfg(not(feature = "playback"))]
mod imp {
    use std::io;
    use std::time::Duration;

    use kithara::decode::PcmChunk;
    use tokio::time::{Instant, sleep_until};

    /// What a sound device would hold: PCM is taken this long before it is due.
    const BUFFER: Duration = Duration::from_millis(200);

    /// Takes PCM at the pace of playback.
    pub struct Sink {
        speed: f64,
        due: Option<Instant>,
    }

    impl Sink {
        pub fn open(speed: f64) -> io::Result<Self> {
            Ok(Self { speed, due: None })
        }

        /// Any rate will do.
        pub fn sample_rate(&self) -> Option<u32> {
            None
        }

        pub async fn play(&mut self, chunk: PcmChunk) {
            let now = Instant::now();
            let due = self.due.unwrap_or(now).max(now);
            let length = chunk.spec().position_of(chunk.frames() as u64);
            drop(chunk);
            let next = due + length.div_f64(self.speed);
            self.due = Some(next);
            sleep_until(next - BUFFER.min(next - now)).await;
        }

        /// Waits until everything would have been heard.
        pub async fn drain(self) {
            if let Some(due) = self.due {
                sleep_until(due).await;
            }
        }
    }
}

#[cfg(feature = "playback")]
mod imp {
    use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
    use kithara::decode::PcmChunk;
    use tokio::sync::mpsc;

    /// Chunks that wait for the device.
    const AHEAD: usize = 20;

    /// Plays to the default device. The device's callback takes chunks and never waits; what is late is silence.
    pub struct Sink {
        stream: cpal::Stream,
        sample_rate: u32,
        chunks: mpsc::Sender<PcmChunk>,
    }

    impl Sink {
        pub fn open(speed: f64) -> Result<Self, Box<dyn std::error::Error>> {
            if speed != 1.0 {
                return Err("the sound device has one speed".into());
            }
            let device = cpal::default_host().default_output_device().ok_or("no sound device")?;
            let config: cpal::StreamConfig = device.default_output_config()?.into();
            let (chunks, receiver) = mpsc::channel(AHEAD);
            let mut feed = Feed { receiver, chunk: None, frame: 0 };
            let stream = device.build_output_stream(
                config,
                move |out: &mut [f32], _: &cpal::OutputCallbackInfo| feed.fill(out, config.channels.into()),
                |error| eprintln!("{error}"),
                None,
            )?;
            stream.play()?;
            Ok(Self { stream, sample_rate: config.sample_rate, chunks })
        }

        /// The rate of the device.
        pub fn sample_rate(&self) -> Option<u32> {
            Some(self.sample_rate)
        }

        /// Waits while the device has enough.
        pub async fn play(&mut self, chunk: PcmChunk) {
            let _ = self.chunks.send(chunk).await;
        }

        /// Waits until everything was heard.
        pub async fn drain(self) {
            let _ = self.chunks.reserve_many(AHEAD).await;
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            drop(self.stream);
        }
    }

    /// The device's end.
    struct Feed {
        receiver: mpsc::Receiver<PcmChunk>,
        chunk: Option<PcmChunk>,
        frame: usize,
    }

    impl Feed {
        fn fill(&mut self, out: &mut [f32], device_channels: usize) {
            for frame in out.chunks_mut(device_channels) {
                if self.chunk.as_ref().is_none_or(|chunk| self.frame >= chunk.frames()) {
                    self.chunk = self.receiver.try_recv().ok();
                    self.frame = 0;
                }
                let Some(chunk) = &self.chunk else {
                    frame.fill(0.0);
                    continue;
                };
                let channels = usize::from(chunk.spec().channels);
                let samples = &chunk.samples()[self.frame * channels..][..channels];
                for (channel, sample) in frame.iter_mut().enumerate() {
                    *sample = samples[channel % channels];
                }
                self.frame += 1;
            }
        }
    }
}
