# frozen_string_literal: true

require 'json'
require 'net/http'
require_relative 'bundled'

module LibPusher
  # A Channels server for the tests of an application: it records what was published, and fails on request. docs/testing-your-app.md
  # has the faults. {LibPusher::Minitest} wraps it for Minitest.
  #
  #   server = LibPusher::Testing.open
  #   pusher = LibPusher::Client.new(**server.config)
  #   pusher.trigger('orders', 'created', { id: 7 })
  #   server.events.first.data   # => {"id"=>7}
  #
  # The server is the program pusher-testserver: the one that `PUSHER_TESTSERVER` names, or the one in the gem, or the one in `PATH`.
  # One process serves all tests. It ends with this process.
  module Testing
    # Stands for any value, also none.
    ANY = Object.new
    def ANY.inspect = 'ANY'
    ANY.freeze

    # A published event. `text` is the data as it was sent, which is encrypted on an encrypted channel; `socket_id` is the connection
    # that does not receive it, and `user` the user whom it was sent to.
    Event = Struct.new(:channel, :event, :text, :socket_id, :user, keyword_init: true) do
      # Returns the data as the application passed it, with strings as keys: the value of the JSON, or the text if it is no JSON.
      def data
        JSON.parse(text)
      rescue JSON::ParserError
        text
      end

      def to_s = "#{event} on #{channel}: #{text}"
    end

    # A Channels server on a port of its own.
    class Server
      # @return [Hash] the arguments of {Client#initialize}
      attr_reader :config

      # @return [String] the value of PUSHER_URL. A TLS server also needs `config[:ca_file]`, a proxy `config[:proxy]`.
      attr_reader :url

      # @api private
      def initialize(opened, tls)
        @path = "/listen/#{opened['port']}"
        @config = opened['config'].transform_keys(&:to_sym)
        @url = opened['url']
        @tls = tls
      end

      # @return [Array<Event>] what was published, in order
      def events = read(0, 0)

      # @return [Array<String>] the users whose connections were terminated
      def terminated = record['terminated']

      # @return [Array<String>] why the server refused requests: a wrong signature, an unknown path and so on
      def refused = record['refused']

      # @return [Integer] the number of requests, and of connections that failed before a request
      def attempts = record['attempts']

      # Waits until `count` events are published, at most `timeout` seconds.
      # @return [Array<Event>] all events so far
      def wait_for(count, timeout: 10) = read(count, timeout)

      # Waits up to `timeout` seconds for `times` events that match; a program that publishes in the background needs that.
      # @param data [Object] a value as passed to {Client#trigger}
      # @return [Array<Event>] the events that match
      def find(channel, event, data: ANY, socket_id: ANY, times: 1, timeout: 0)
        deadline = now + timeout
        all = events
        loop do
          found = all.select { |one| fits?(one, channel, event, data, socket_id) }
          left = deadline - now
          return found if found.size >= times || left <= 0

          all = read(all.size + 1, left)
        end
      end

      # Makes the next attempts fail, after `warm` that succeed. 0 `times` is all, until {#clear}. A fault of a connection strikes the
      # next new connection. Some faults need a server of their own: {Testing.open}.
      def fail_next(fault, times: 1, warm: 0, **params)
        order(fault, times: times, warm: warm, params: params)
      end

      # Forgets the events so far, and the faults that have not struck yet.
      def clear
        order('none')
        Testing.ask('DELETE', "#{@path}/events")
        nil
      end

      # Closes the port and its connections.
      def close
        Testing.ask('DELETE', @path)
        nil
      end

      # Returns what was published and refused, for messages.
      def to_s
        seen = events.join('; ')
        "Published: #{seen.empty? ? 'nothing' : seen}.#{refused.map { |why| " A request was refused: #{why}." }.join}"
      end

      private

      def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

      def order(fault, **order)
        Testing.ask('PUT', @path, { fault: fault, tls: @tls, **order })
        nil
      end

      def record(count = 0, timeout = 0)
        Testing.ask('GET', "#{@path}/events?count=#{count}&timeout_ms=#{(timeout * 1000).to_i}", patience: timeout)
      end

      def read(count, timeout)
        record(count, timeout)['events'].map do |one|
          Event.new(channel: one['channel'], event: one['event'], text: one['data'], socket_id: one['socket_id'], user: one['user'])
        end
      end

      def fits?(one, channel, event, data, socket_id)
        one.channel == channel && one.event == event && (socket_id.equal?(ANY) || socket_id == one.socket_id) &&
          (data.equal?(ANY) || data == one.text || JSON.parse(JSON.generate([data])) == [one.data])
      end
    end

    @lock = Mutex.new

    class << self
      # Opens a server. If it has a fault, `warm` requests succeed first, and then `times` attempts fail; 0 is all.
      # @param params those of the fault
      # @return [Server]
      def open(fault = 'none', tls: false, times: 1, warm: 0, **params)
        Server.new(ask('POST', '/listen', { fault: fault, tls: tls, times: times, warm: warm, params: params }), tls)
      end

      # @return [Array<Hash>] the faults: the `name` of each, `what` it does, and what an `honest` client may report
      def faults = ask('GET', '/faults')

      # @api private
      def ask(method, path, body = nil, patience: 0)
        request = Net::HTTPGenericRequest.new(method, !body.nil?, true, path)
        request.content_type = 'application/json'
        request.body = JSON.generate(body) if body
        answer = Net::HTTP.start('127.0.0.1', port, nil, read_timeout: 60 + patience) { |http| http.request(request) }
        said = JSON.parse(answer.body)
        raise ArgumentError, "pusher-testserver: #{said['error']}" unless answer.is_a?(Net::HTTPOK)

        said
      end

      private

      # Returns the control port. A forked child uses its parent's server.
      def port
        @lock.synchronize do
          @port ||= begin
            # The program ends when the pipe to it is closed.
            @pipe = IO.popen([ENV['PUSHER_TESTSERVER'] || Bundled.program || 'pusher-testserver'], 'r+')
            JSON.parse(@pipe.gets || raise('pusher-testserver has ended')).fetch('control')
          end
        end
      end
    end
  end
end
