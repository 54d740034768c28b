//! The sound device.

use std::sync::mpsc;
use std::thread::JoinHandle;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use kithara_decode::AudioSpec;

use crate::{Player, Renderer};

/// Why the sound device cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The machine has no sound device, or none that this user may open.
    #[error("no sound device is available: plug one in, or use the Null output")]
    NoDevice,
    /// The device refused.
    #[error("the sound device refused: {0}")]
    Refused(String),
}

/// A player's sound on the default device. Dropping it falls silent.
///
/// When the device is lost, the player sends
/// [`PlayerEvent::OutputLost`](crate::PlayerEvent::OutputLost); start another `Device` then.
#[derive(Debug)]
pub struct Device {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    spec: AudioSpec,
}

impl Device {
    /// Opens the default device in the format that it prefers, and attaches it to `player`.
    ///
    /// Blocks for as long as the system takes to open it, usually a few milliseconds.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn start(player: &Player) -> Result<Self, DeviceError> {
        let device = cpal::default_host().default_output_device().ok_or(DeviceError::NoDevice)?;
        let config =
            device.default_output_config().map_err(|error| DeviceError::Refused(error.to_string()))?;
        let config: cpal::StreamConfig = config.into();
        let spec = AudioSpec::new(config.sample_rate, config.channels);
        let renderer = player.attach(spec);
        let (stop, stopped) = mpsc::channel::<()>();
        let (ready, opened) = mpsc::channel();
        let lost = stop.clone();
        // A stream of some systems may not move between threads: it lives and dies on this one.
        let thread = std::thread::Builder::new()
            .name("kithara-device".to_owned())
            .spawn(move || {
                let stream = open(&device, config, renderer, lost);
                let stream = match stream {
                    Ok(stream) => {
                        let _ = ready.send(Ok(()));
                        stream
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                // Ends with the device, or with the handle.
                let _ = stopped.recv();
                drop(stream);
            })
            .map_err(|error| DeviceError::Refused(error.to_string()))?;
        opened.recv().map_err(|_| DeviceError::NoDevice)??;
        Ok(Self { stop: Some(stop), thread: Some(thread), spec })
    }

    /// The format that the device plays.
    #[must_use]
    pub fn spec(&self) -> AudioSpec {
        self.spec
    }
}

fn open(
    device: &cpal::Device,
    config: cpal::StreamConfig,
    mut renderer: Renderer,
    lost: mpsc::Sender<()>,
) -> Result<cpal::Stream, DeviceError> {
    let refused = |error: &dyn std::fmt::Display| DeviceError::Refused(error.to_string());
    let stream = device
        .build_output_stream(
            config,
            move |out: &mut [f32], _: &cpal::OutputCallbackInfo| {
                renderer.fill(out);
            },
            move |error| {
                tracing::warn!(%error, "the sound device failed");
                let _ = lost.send(());
            },
            None,
        )
        .map_err(|error| refused(&error))?;
    stream.play().map_err(|error| refused(&error))?;
    Ok(stream)
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
