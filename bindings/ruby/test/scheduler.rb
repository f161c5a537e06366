# frozen_string_literal: true

# A small fiber scheduler, as the documentation of Fiber::Scheduler describes it. It runs its fibers until all have ended.
class Scheduler
  # How often the loop had nothing to run and waited.
  attr_reader :waits

  def initialize
    @lock = Thread::Mutex.new
    @ready = []
    @timers = {}
    @waiting = {}
    @blocked = {}.compare_by_identity
    @wakeup, @waker = IO.pipe
    @waits = 0
  end

  def run
    step while @timers.any? || @waiting.any? || @blocked.any? || @lock.synchronize { @ready.any? }
  end

  # Called at the end of the thread, or by Fiber.set_scheduler(nil).
  def close
    run
    [@wakeup, @waker].each(&:close)
  end

  def fiber(&block)
    Fiber.new(blocking: false, &block).tap(&:resume)
  end

  def kernel_sleep(duration = nil)
    block(:sleep, duration)
  end

  def block(_blocker, timeout = nil)
    fiber = Fiber.current
    @blocked[fiber] = true
    timer = after(timeout) { fiber.resume(false) }
    Fiber.yield
  ensure
    @timers.delete(timer)
    @blocked.delete(fiber)
  end

  # Other threads call it too.
  def unblock(_blocker, fiber)
    @lock.synchronize { @ready << fiber }
    @waker.write_nonblock('.')
  end

  def io_wait(io, events, timeout)
    fiber = Fiber.current
    @waiting[fiber] = [io, events]
    timer = after(timeout) { fiber.resume(false) }
    Fiber.yield
  ensure
    @timers.delete(timer)
    @waiting.delete(fiber)
  end

  def fiber_interrupt(fiber, exception)
    @lock.synchronize { @ready << Interruption.new(fiber, exception) }
    @waker.write_nonblock('.')
  end

  def timeout_after(duration, exception, *arguments)
    fiber = Fiber.current
    timer = after(duration) { fiber.raise(exception, *arguments) }
    yield duration
  ensure
    @timers.delete(timer)
  end

  # Resumes a fiber with an exception.
  Interruption = Struct.new(:fiber, :exception) do
    def alive? = fiber.alive?
    def resume(*) = fiber.raise(exception)
  end

  private

  def after(duration, &block)
    return unless duration

    Object.new.tap { |timer| @timers[timer] = [now + duration, block] }
  end

  def step
    @waits += 1
    first = @timers.values.map(&:first).min
    time = @lock.synchronize { @ready.any? } ? 0 : first && [first - now, 0].max
    readable, writable = IO.select([@wakeup, *ios(IO::READABLE)], ios(IO::WRITABLE), nil, time)
    @wakeup.read_nonblock(4096, exception: false) if readable&.include?(@wakeup)
    @waiting.to_a.each do |fiber, (io, events)|
      found = (readable&.include?(io) ? events & IO::READABLE : 0) | (writable&.include?(io) ? events & IO::WRITABLE : 0)
      fiber.resume(found) if found.positive? && @waiting.key?(fiber)
    end
    @timers.select { |_, (time, _)| time <= now }.each { |timer, (_, block)| block.call if @timers.delete(timer) }
    @lock.synchronize { @ready.slice!(0..) }.each { |fiber| fiber.resume(true) if fiber.alive? }
  end

  def ios(event) = @waiting.values.filter_map { |io, events| io if events.anybits?(event) }

  def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
end
