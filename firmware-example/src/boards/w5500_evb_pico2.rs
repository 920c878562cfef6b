//! WIZnet W5500-EVB-Pico2: RP2350A (Cortex-M33, 150 MHz), W5500 on SPI0, 2 MiB of QSPI flash.
//!
//! | part | pins |
//! | --- | --- |
//! | W5500 | MISO 16, CS 17, SCK 18, MOSI 19, reset 20, interrupt 21 |
//! | console, 115200 8N1 | TX 0, RX 1: a Debug Probe's UART, or any USB serial adapter of 3.3 V |
//! | lamp | 25, the green LED |
//! | button | 14 to ground: header pins 19 and 18, side by side, so a jumper will do |
//!
//! BOOTSEL is not the button: held while power comes, it starts the boot ROM instead of this image.
//! Typing while the flash is erased may lose characters: nothing runs from it for some 50 ms then.

use core::cell::RefCell;
use core::fmt::{self, Write};

use cortex_m::peripheral::SCB;
use cortex_m_rt::{ExceptionFrame, exception};
use embassy_embedded_hal::flash::partition::BlockingPartition;
use embassy_executor::Spawner;
use embassy_net_wiznet::chip::W5500;
use embassy_net_wiznet::{Device, Runner, State};
use embassy_rp::adc::{Adc, Channel};
use embassy_rp::flash::Flash;
use embassy_rp::gpio::{Input, Level, Output, Pull};
use embassy_rp::peripherals::{DMA_CH0, DMA_CH1, FLASH, SPI0, UART0};
use embassy_rp::spi::{self, Spi};
use embassy_rp::uart::{self, BufferedUart};
use embassy_rp::watchdog::Watchdog;
use embassy_rp::{adc, bind_interrupts, dma, flash, otp, pac};
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::{Delay, Duration, Instant};
use embedded_hal_bus::spi::ExclusiveDevice;
use hushwire_firmware::board::{Board, Entropy, Lamp, NoEntropy, Panel, Stack};
use hushwire_firmware::parts::{Line, SectorKeeper, local_mac};
use hushwire_flash::Wipe;
use static_cell::StaticCell;

use crate::boards::stack;

bind_interrupts!(struct Interrupts {
    UART0_IRQ => uart::BufferedInterruptHandler<UART0>;
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>, dma::InterruptHandler<DMA_CH1>;
});

const FLASH_BYTES: usize = 2 * 1024 * 1024;

type Wiznet = ExclusiveDevice<Spi<'static, SPI0, spi::Async>, Output<'static>, Delay>;
type QspiFlash = Flash<'static, FLASH, flash::Blocking, FLASH_BYTES>;
type SharedFlash = Mutex<NoopRawMutex, RefCell<QspiFlash>>;
type Region = BlockingPartition<'static, NoopRawMutex, QspiFlash>;

/// The W5500 is sure to follow 33.3 MHz (its datasheet, SPI timing); the divider makes 25 MHz of it.
const SPI_HZ: u32 = 33_000_000;

/// Frames waiting in each direction, 1,514 bytes each.
const QUEUE: usize = 2;

/// Takes the board apart.
pub(crate) async fn take(
    spawner: Spawner,
) -> Board<Device<'static>, Region, BufferedUart, Trng, SectorKeeper<Region>, EvbPanel> {
    static FLASH: StaticCell<SharedFlash> = StaticCell::new();
    static TX: StaticCell<[u8; 256]> = StaticCell::new();
    static RX: StaticCell<[u8; 256]> = StaticCell::new();
    static QUEUES: StaticCell<State<QUEUE, QUEUE>> = StaticCell::new();

    let p = embassy_rp::init(embassy_rp::config::Config::default());

    let mut watchdog = Watchdog::new(p.WATCHDOG);
    // One that bit goes on running through the restart: the boot gets its full period.
    watchdog.feed(EvbPanel::LONGEST);

    let console = BufferedUart::new(
        p.UART0,
        p.PIN_0,
        p.PIN_1,
        Interrupts,
        TX.init([0; 256]),
        RX.init([0; 256]),
        uart::Config::default(),
    );

    let mut spi_config = spi::Config::default();
    spi_config.frequency = SPI_HZ;
    let spi = Spi::new(
        p.SPI0, p.PIN_18, p.PIN_19, p.PIN_16, p.DMA_CH0, p.DMA_CH1, Interrupts, spi_config,
    );
    let select = Output::new(p.PIN_17, Level::High);
    let Ok(wiznet) = ExclusiveDevice::new(spi, select, Delay);
    // A chip without a serial number has lost its factory data; one address is as good as another.
    let serial = otp::get_chipid().unwrap_or(0);
    let started = embassy_net_wiznet::new(
        local_mac(&serial.to_be_bytes()),
        QUEUES.init_with(State::new),
        wiznet,
        Input::new(p.PIN_21, Pull::Up),
        Output::new(p.PIN_20, Level::High),
    )
    .await;
    let Ok((network, runner)) = started else {
        let _ = LastWords.write_str("\r\nthe W5500 does not answer\r\n");
        SCB::sys_reset();
    };
    spawner.spawn(drive(runner).expect("one driver task"));

    let flash: &'static SharedFlash =
        FLASH.init_with(|| Mutex::new(RefCell::new(Flash::new_blocking(p.FLASH))));

    Board {
        name: "w5500-evb-pico2",
        network,
        flash: region(flash, &raw const _state_offset, &raw const _state_size),
        wipe: Wipe::in_place::<Region>(),
        console,
        entropy: Trng,
        keeper: SectorKeeper::new(region(flash, &raw const _key_offset, &raw const _key_size)),
        panel: EvbPanel {
            lamp: Output::new(p.PIN_25, Level::Low),
            button: Input::new(p.PIN_14, Pull::Up),
            adc: Adc::new_blocking(p.ADC, adc::Config::default()),
            thermometer: Channel::new_temp_sensor(p.ADC_TEMP_SENSOR),
            watchdog,
            period: EvbPanel::LONGEST,
        },
    }
}

/// Moves frames between the W5500 and the stack.
#[embassy_executor::task]
async fn drive(runner: Runner<'static, W5500, Wiznet, Input<'static>, Output<'static>>) -> ! {
    runner.run().await
}

// The memory map's numbers, as addresses: `memory/w5500-evb-pico2.x`.
unsafe extern "C" {
    safe static _state_offset: u8;
    safe static _state_size: u8;
    safe static _key_offset: u8;
    safe static _key_size: u8;
}

fn region(flash: &'static SharedFlash, offset: *const u8, size: *const u8) -> Region {
    BlockingPartition::new(flash, offset.addr() as u32, size.addr() as u32)
}

/// The RP2350's ring oscillator behind its own tests (datasheet 12.12), which stay on.
///
/// embassy-rp's driver waits without bound and stops the program where a test fails; a key must
/// be refused then, not the boot.
pub(crate) struct Trng;

impl Trng {
    /// Clocks between two samples. The datasheet (12.12.2) calls 20 to 25 acceptable and 100 better;
    /// a block takes some 10 ms with it.
    const SAMPLE_CLOCKS: u32 = 100;
    /// Inverters in the oscillator's ring, as a choice of four.
    const RING: u8 = 1;
    /// Failed tests are rare, not impossible, in a healthy source; this many in a row are.
    const TRIES: usize = 8;
    const PATIENCE: Duration = Duration::from_millis(100);

    /// 192 bits that passed the tests.
    fn block(&mut self) -> Option<[u32; 6]> {
        let trng = pac::TRNG;
        // Sets every test and register back; AUTOCORR_ERR is cleared by nothing else.
        trng.trng_sw_reset().write(|w| w.set_trng_sw_reset(true));
        // The reset takes a few clocks: one read of the bus is enough of them.
        let _ = trng.trng_sw_reset().read();
        trng.trng_config().write(|w| w.set_rnd_src_sel(Self::RING));
        trng.sample_cnt1().write(|w| *w = Self::SAMPLE_CLOCKS);
        trng.trng_debug_control().write(|w| {
            w.set_auto_correlate_bypass(false);
            w.set_trng_crngt_bypass(false);
            w.set_vnc_bypass(false);
        });
        trng.rnd_source_enable().write(|w| w.set_rnd_src_en(true));

        let deadline = Instant::now() + Self::PATIENCE;
        let block = loop {
            let status = trng.rng_isr().read();
            if status.autocorr_err() || status.crngt_err() || status.vn_err() {
                break None;
            }
            if status.ehr_valid() {
                break Some([
                    trng.ehr_data0().read(),
                    trng.ehr_data1().read(),
                    trng.ehr_data2().read(),
                    trng.ehr_data3().read(),
                    trng.ehr_data4().read(),
                    trng.ehr_data5().read(),
                ]);
            }
            if Instant::now() >= deadline {
                break None;
            }
        };
        trng.rnd_source_enable().write(|w| w.set_rnd_src_en(false));
        // The registers read zero where a test failed after all.
        block.filter(|words| words.iter().any(|word| *word != 0))
    }
}

impl Entropy for Trng {
    fn fill(&mut self, noise: &mut [u8]) -> Result<(), NoEntropy> {
        for chunk in noise.chunks_mut(24) {
            let words = (0..Self::TRIES)
                .find_map(|_| self.block())
                .ok_or(NoEntropy)?;
            for (byte, fresh) in chunk
                .iter_mut()
                .zip(words.iter().flat_map(|w| w.to_le_bytes()))
            {
                *byte = fresh;
            }
        }
        Ok(())
    }
}

/// Where a panic is told: the console's UART, past the driver and its interrupts.
pub(crate) struct LastWords;

impl Write for LastWords {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let full = || pac::UART0.uartfr().read().txff();
            if spin_while(full) {
                return Err(fmt::Error);
            }
            pac::UART0.uartdr().write(|w| w.set_data(byte));
        }
        // The reset that follows would cut the rest off.
        spin_while(|| pac::UART0.uartfr().read().busy());
        Ok(())
    }
}

#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    let _ = LastWords.write_str("\r\nfault\r\n");
    SCB::sys_reset()
}

/// Some 10 ms at most, a hundred times what a byte takes; whether the condition still holds then.
fn spin_while(condition: impl Fn() -> bool) -> bool {
    (0..100_000).all(|_| condition())
}

/// LED, jumper, thermometer and watchdog of the chip.
pub(crate) struct EvbPanel {
    lamp: Output<'static>,
    button: Input<'static>,
    adc: Adc<'static, adc::Blocking>,
    thermometer: Channel<'static>,
    watchdog: Watchdog,
    period: Duration,
}

impl EvbPanel {
    /// The counter's 24 bits of microseconds.
    const LONGEST: Duration = Duration::from_secs(16);

    /// Datasheet 12.4.6: 0.706 V at 27 °C, 1.721 mV less for each degree; 4096 counts are 3.3 V.
    /// At -40 °C the sensor gives 0.821307 V, at 85 °C 0.606182 V.
    const TEMPERATURE: Line = Line::through((1019, -40_000), (752, 85_000));
}

impl Panel for EvbPanel {
    const UNIT: &'static str = "m°C";

    fn lamp(&mut self, lamp: Lamp) {
        self.lamp.set_level((lamp == Lamp::On).into());
    }

    fn read(&mut self) -> Option<i32> {
        let count = self.adc.blocking_read(&mut self.thermometer).ok()?;
        Self::TEMPERATURE.at(count.into())
    }

    fn is_held(&mut self) -> bool {
        self.button.is_low()
    }

    fn guard(&mut self, seconds: u8) {
        self.period =
            Duration::from_secs(seconds.into()).clamp(Duration::from_secs(1), Self::LONGEST);
        self.watchdog.pause_on_debug(true);
        self.watchdog.start(self.period);
    }

    fn feed(&mut self) {
        self.watchdog.feed(self.period);
    }

    fn restart(&mut self) -> ! {
        self.watchdog.trigger_reset();
        loop {
            cortex_m::asm::nop();
        }
    }

    fn stack(&mut self) -> Option<Stack> {
        Some(stack::used())
    }
}
