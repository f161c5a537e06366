# frozen_string_literal: true

require 'json'
require 'minitest/autorun'
require 'net/http'
require 'openssl'
require 'timeout'

$LOAD_PATH.unshift File.expand_path('../lib', __dir__)
require 'libpusher'

# The fault server (tools/fault-server/README.md): one process for all tests, with a listener for each test that needs one. FAULT_SERVER
# names the program, which ends with this process.
module FaultServer
  # A listener: its port and its ledger.
  class Listener
    attr_reader :port

    def initialize(port)
      @port = port
    end

    def attempts = ledger['attempts']

    def connections = ledger['connections']

    # Returns the events that a real server would have published, in order.
    def applied = attempts.flat_map { |attempt| attempt['applied'] || [] }

    def ledger = FaultServer.control(Net::HTTP::Get.new("/listen/#{port}"))
  end

  class << self
    def credentials = { app_id: '4711', key: ready['key'], secret: ready['secret'] }

    def ca = ready['ca']

    # @param body [Hash] of POST /listen
    def listen(fault = 'none', **body)
      request = Net::HTTP::Post.new('/listen', 'Content-Type' => 'application/json')
      request.body = JSON.generate({ fault: fault, **body })
      Listener.new(control(request).fetch('port'))
    end

    def client(listener, **config)
      LibPusher::Client.new(**credentials, host: '127.0.0.1', port: listener.port, ssl: false, **config)
    end

    def control(request)
      response = Net::HTTP.start('127.0.0.1', ready['control'], read_timeout: 30) { |http| http.request(request) }
      raise response.body unless response.is_a?(Net::HTTPSuccess)

      JSON.parse(response.body)
    end

    private

    def ready
      @ready ||= begin
        @pipe = IO.popen([ENV.fetch('FAULT_SERVER')], 'r+')
        JSON.parse(Timeout.timeout(30) { @pipe.gets })
      end
    end
  end
end

# Shared helpers.
module Helpers
  # Returns a client that cannot send: nothing listens on port 1.
  def nowhere(**config)
    LibPusher::Client.new(**FaultServer.credentials, host: '127.0.0.1', port: 1, ssl: false, **config)
  end

  def sign(body, secret = FaultServer.credentials[:secret])
    OpenSSL::HMAC.hexdigest('SHA256', secret, body)
  end

  # Waits until the block is true, as long as a loaded machine may need.
  def wait_until(&block)
    Timeout.timeout(30) { Thread.pass until block.call }
  end

  # Runs the block in a forked child and returns its result.
  def in_child(&block)
    collect(*start_child(&block))
  end

  # Starts a child that runs the block, for {collect}.
  def start_child
    reader, writer = IO.pipe
    pid = fork do
      reader.close
      writer.write(Marshal.dump(yield))
      writer.close
      exit!(0)
    rescue StandardError, Timeout::Error => e
      warn e.full_message
      exit!(1)
    end
    writer.close
    [pid, reader]
  end

  # Returns the result of the child's block. A child that hangs is killed and fails the test.
  def collect(pid, reader)
    answer = Timeout.timeout(30) { reader.read }
    Process.wait(pid)
    assert_predicate $?, :success?, 'the child failed'
    Marshal.load(answer)
  rescue Timeout::Error
    Process.kill(:KILL, pid)
    Process.wait(pid)
    flunk 'the child hangs'
  end

  # Runs another Ruby program with a `client`, to test the end of a program. It must not print anything.
  def run_program(listener, code)
    config = { **FaultServer.credentials, host: '127.0.0.1', port: listener.port, ssl: false }
    script = "client = LibPusher::Client.new(**JSON.parse($stdin.read, symbolize_names: true)); #{code}"
    command = [RbConfig.ruby, '-w', '-I', File.expand_path('../lib', __dir__), '-rlibpusher', '-e', script]
    said = IO.popen(command, 'r+', err: %i[child out]) do |program|
      program.write(JSON.generate(config))
      program.close_write
      Timeout.timeout(30) { program.read }
    end
    assert_equal ['', true], [said, $?.success?]
  end

  # Returns the resident memory in KiB.
  def resident
    GC.start
    File.read('/proc/self/status')[/^VmRSS:\s+(\d+)/, 1].to_i
  end
end
