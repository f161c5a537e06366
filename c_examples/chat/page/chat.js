// The page. Everything that people write becomes text, never HTML.

const $ = (id) => document.getElementById(id);

const MAX_ITEMS = 200; // of a list
const NOTICE_MS = 6000;
const FIRST_PAUSE_MS = 2000; // before an attempt to connect; each one doubles it
const LAST_PAUSE_MS = 30_000;

const NO_CONNECTION = 'No connection. Messages that you write now are sent when the connection is back.';
const CLOSED = 'The server has closed the connection. Your session may be over.';
const NO_WEBSOCKETS = 'This browser cannot connect: it has no WebSockets.';

/** Posts a form and returns the response. Throws the error of the server, with its `status` and, if known, its `delivery`. */
async function post(path, fields = {}) {
  const response = await fetch(path, { method: 'POST', body: new URLSearchParams(fields) }).catch(() => {
    throw new Error('the chat server does not answer');
  });
  const answer = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!response.ok) throw Object.assign(new Error(answer.error), answer, { status: response.status });
  return answer;
}

const clone = (template) => $(template).content.firstElementChild.cloneNode(true);

/** Shows the first character of a person's name, as people count characters, on a colour that belongs to the name. */
function paint(face, name) {
  const [{ segment }] = new Intl.Segmenter().segment(name);
  face.textContent = segment;
  face.style.setProperty(
    '--hue',
    Array.from(name).reduce((sum, one) => (sum * 37 + one.codePointAt()) % 360, 7),
  );
}

function setTime(element, at) {
  const date = new Date(at);
  element.dateTime = date.toISOString();
  element.textContent = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}

let noticeTimer;
function notice(...content) {
  clearTimeout(noticeTimer);
  $('notice').replaceChildren(...content);
  noticeTimer = setTimeout(() => $('notice').replaceChildren(), NOTICE_MS);
}

/** Adds an item to the log, and scrolls to it unless the reader has scrolled away from the end. */
function addToLog(list, item, always = false) {
  const log = $('log');
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  $(list).append(item);
  while ($(list).children.length > MAX_ITEMS) $(list).firstChild.remove();
  $('no-messages').hidden = true;
  if (isAtEnd || always) log.scrollTop = log.scrollHeight;
}

function showMessage({ id, name, text, at }, me) {
  const item = clone('message');
  item.classList.toggle('mine', id === me);
  paint(item.querySelector('.face'), name);
  item.querySelector('bdi').textContent = name;
  setTime(item.querySelector('time'), at);
  item.querySelector('.text').textContent = text;
  addToLog('messages', item);
}

function showWebhook({ webhook, name, at }) {
  const item = clone('webhook');
  item.classList.add(webhook);
  item.querySelector('code').textContent = webhook;
  item.querySelector('bdi').textContent = name;
  item.querySelector('span').textContent = webhook === 'member_added' ? 'came in' : 'left';
  setTime(item.querySelector('time'), at);
  $('webhooks').prepend(item);
  while ($('webhooks').children.length > MAX_ITEMS) $('webhooks').lastChild.remove();
  $('no-webhooks').hidden = true;
}

/** Shows the people who are here. An item stays in its place, and so keeps the focus, until its person leaves. */
function showMembers(people, me) {
  const present = new Map([...$('members').children].map((item) => [item.dataset.id, item]));
  for (const [id, item] of present) {
    if (people.some((person) => person.id === id)) continue;
    if (item.contains(document.activeElement)) $('text').focus();
    item.remove();
  }
  let next = $('members').firstElementChild;
  for (const { id, name } of people.sort((a, b) => a.name.localeCompare(b.name))) {
    if (present.has(id)) {
      next = present.get(id).nextElementSibling;
      continue;
    }
    const item = clone('member');
    item.dataset.id = id;
    paint(item.querySelector('.face'), name);
    item.querySelector('bdi').textContent = name;
    item.querySelector('.you').hidden = id !== me;
    const button = item.querySelector('button');
    button.hidden = id === me;
    button.setAttribute('aria-label', `Wave to ${name}`);
    button.addEventListener('click', () => post('/wave', { to: id }).catch((error) => notice(error.message)));
    $('members').insertBefore(item, next);
  }
  for (const count of document.querySelectorAll('.count')) count.textContent = people.length;
  $('no-others').hidden = people.length > 1;
}

/** The user's own messages until they are in the room. They wait for a connection, and are sent in their order. */
class Outbox {
  #items = $('outbox').children;
  #isSending = false;

  /**
   * `isConnected()` says whether to send. `failed(error)` is told of each failure, and `missed(text)` of each message that
   * was sent but cannot arrive here, because the connection was lost.
   */
  constructor(isConnected, failed, missed) {
    Object.assign(this, { isConnected, failed, missed });
    addEventListener('beforeunload', (event) => {
      if ([...this.#items].some(({ dataset }) => dataset.state !== 'sent')) event.preventDefault();
    });
  }

  add(text) {
    const item = clone('unsent');
    item.querySelector('.text').textContent = text;
    item.querySelector('.again').addEventListener('click', () => {
      $('text').focus();
      this.#wait(item);
    });
    item.querySelector('.discard').addEventListener('click', () => {
      $('text').focus();
      item.remove();
    });
    addToLog('outbox', item, true);
    this.#wait(item);
  }

  #wait(item) {
    this.#mark(item, 'waiting', this.isConnected() ? 'sending' : 'waits for the connection');
    this.send();
  }

  #mark(item, state, text) {
    item.dataset.state = state;
    item.querySelector('.state').textContent = text;
    item.querySelector('.choice').hidden = state !== 'failed';
  }

  /** Sends what waits, one message at a time, as long as there is a connection. */
  async send() {
    if (this.#isSending) return;
    this.#isSending = true;
    for (;;) {
      const item = [...this.#items].find(({ dataset }) => dataset.state === 'waiting');
      if (!item || !this.isConnected()) break;
      this.#mark(item, 'sending', 'sending');
      try {
        await post('/say', { text: item.querySelector('.text').textContent });
        this.#mark(item, 'sent', 'sent');
        if (!this.isConnected()) this.lose();
      } catch (error) {
        // libpusher reports the delivery. Without a report, only a refusal by the chat server itself is certain.
        const { message, status, delivery } = error;
        const isCertain = delivery ? delivery !== 'unknown' : status < 500;
        this.#mark(item, 'failed', `${isCertain ? 'Not sent' : 'It may have been sent'}: ${message}.`);
        this.failed(error);
      }
    }
    this.#isSending = false;
  }

  /** Removes a message that has arrived in the room. */
  arrived(text) {
    const isIt = ({ dataset, children: [content] }) =>
      dataset.state !== 'waiting' && content.querySelector('.text').textContent === text;
    [...this.#items].find(isIt)?.remove();
  }

  /** Gives up waiting for the messages that are sent: after the connection is lost, they do not arrive. */
  lose() {
    for (const item of [...this.#items].filter(({ dataset }) => dataset.state === 'sent')) {
      item.remove();
      this.missed(item.querySelector('.text').textContent);
    }
  }
}

function enter({ user, presence, talk, pusher: { key, cluster, host, port, tls } }) {
  $('door').hidden = true;
  $('room').hidden = false;
  $('me').textContent = $('me').title = user.name;
  $('text').focus();

  const pusher = new Pusher(key, {
    cluster,
    ...(host && { wsHost: host, wsPort: port, wssPort: port, forceTLS: tls }),
    enabledTransports: ['ws', 'wss'],
    disableStats: true,
    userAuthentication: { endpoint: '/pusher/user-auth' },
    channelAuthorization: { endpoint: '/pusher/auth' },
  });
  const members = pusher.subscribe(presence);
  const room = pusher.subscribe(talk);

  let state = 'connecting';
  const show = (next, trouble = '') => {
    const text = $('trouble').querySelector('p');
    state = next;
    $('connection').dataset.state = $('connection').textContent = state;
    if (text.textContent !== trouble) text.textContent = trouble; // a screen reader reads each change
    $('reload').hidden = state !== 'disconnected';
  };
  const outbox = new Outbox(
    () => state === 'connected',
    ({ status }) => status === 401 && end(CLOSED),
    (text) => showMessage({ ...user, text, at: Date.now() }, user.id),
  );

  // pusher-js waits 15 to 60 s between its attempts to connect. Until it is connected, this starts one sooner.
  let attempt;
  let pause = FIRST_PAUSE_MS;
  const connectAgain = () => {
    pause = Math.min(2 * pause, LAST_PAUSE_MS);
    attempt = setTimeout(connectAgain, pause);
    pusher.connection.unbind('state_change', follow);
    pusher.disconnect();
    pusher.connection.bind('state_change', follow);
    pusher.connect();
    lose();
  };
  const lose = () => {
    if (state === 'disconnected') return;
    if (state === 'connected') attempt = setTimeout(connectAgain, pause);
    show('connecting', NO_CONNECTION);
    outbox.lose();
  };
  /** Gives up: another attempt would fail, too. */
  const end = (why) => {
    clearTimeout(attempt);
    show('disconnected', why);
    pusher.disconnect();
  };
  const follow = ({ current }) => {
    if (current === 'disconnected') end(CLOSED);
    else if (current === 'failed') end(NO_WEBSOCKETS);
    else if (current !== 'connected') lose();
  };
  attempt = setTimeout(connectAgain, 2 * pause);
  pusher.connection.bind('state_change', follow);
  pusher.connection.bind('connecting_in', lose); // a second before the state changes

  let isFirst = true;
  for (const channel of [members, room]) {
    channel.bind('pusher:subscription_succeeded', () => {
      if (!members.subscribed || !room.subscribed) return;
      clearTimeout(attempt);
      pause = FIRST_PAUSE_MS;
      if (!isFirst) addToLog('messages', clone('gap'));
      isFirst = false;
      show('connected');
      outbox.send();
    });
    // If the chat server did not answer, the next attempt to connect subscribes again.
    channel.bind('pusher:subscription_error', ({ status }) => {
      if (status === 401 || status === 403) end(CLOSED);
    });
  }

  for (const event of ['pusher:subscription_succeeded', 'pusher:member_added', 'pusher:member_removed']) {
    members.bind(event, () => {
      const people = [];
      members.members.each(({ id, info }) => people.push({ id, name: info.name }));
      showMembers(people, user.id);
    });
  }
  room.bind('message', (message) => {
    if (message.id === user.id) outbox.arrived(message.text);
    showMessage(message, user.id);
  });
  room.bind('member', showWebhook); // an event of an authentic webhook
  pusher.signin();
  pusher.user.bind('wave', ({ name }) => {
    const by = document.createElement('bdi');
    by.textContent = name;
    notice(by, ' waves to you 👋');
  });

  $('say').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = $('text').value;
    $('text').focus();
    if (text.trim() === '') return;
    $('say').reset();
    outbox.add(text);
  });
  $('sign-out').addEventListener('click', async () => {
    end('');
    await post('/sign-out').catch(() => {});
    location.reload();
  });
  $('reload').addEventListener('click', () => location.reload());

  // On a narrow window, the side is shown on request.
  const toggle = (isOpen) => {
    $('room').classList.toggle('with-side', isOpen);
    $('side-toggle').setAttribute('aria-expanded', isOpen);
  };
  $('side-toggle').addEventListener('click', () => toggle(!$('room').classList.contains('with-side')));
  $('side').addEventListener('keydown', ({ key }) => {
    if (key !== 'Escape' || !$('room').classList.contains('with-side')) return;
    toggle(false);
    $('side-toggle').focus();
  });
}

let isAsking = false;
$('sign-in').addEventListener('submit', async (event) => {
  event.preventDefault();
  if (isAsking) return;
  isAsking = true;
  $('name-error').textContent = '';
  try {
    enter(await post('/sign-in', { name: $('name').value.trim() }));
  } catch (error) {
    $('name-error').textContent = error.message;
    $('name').setAttribute('aria-invalid', 'true');
    $('name').focus();
  }
  isAsking = false;
});

const session = await (await fetch('/session')).json();
if (session.user) {
  enter(session);
} else {
  $('door').hidden = false;
  $('name').focus();
}
