/** A few sentences, written for this test, in each of the languages that a constraint may ask for. */
export const sentencesByLanguage: Readonly<Record<string, readonly string[]>> = {
  ar: [
    'ذهبت إلى السوق صباح اليوم واشتريت الخبز والفاكهة لعائلتي.',
    'تقع المدينة القديمة على ضفة النهر ويزورها كثير من الناس كل عام.',
    'يحب الأطفال قراءة القصص قبل النوم في ليالي الشتاء الطويلة.',
  ],
  bg: [
    'Тази сутрин отидох на пазара и купих хляб и плодове за семейството си.',
    'Старият град се намира на брега на реката и много хора го посещават всяка година.',
    'Децата обичат да четат приказки преди сън през дългите зимни вечери.',
  ],
  bn: [
    'আজ সকালে আমি বাজারে গিয়ে আমার পরিবারের জন্য রুটি আর ফল কিনেছি।',
    'পুরনো শহরটি নদীর তীরে অবস্থিত এবং প্রতি বছর অনেক মানুষ সেখানে বেড়াতে যান।',
    'শীতের দীর্ঘ রাতে শিশুরা ঘুমানোর আগে গল্প পড়তে ভালোবাসে।',
  ],
  de: [
    'Heute Morgen bin ich zum Markt gegangen und habe Brot und Obst für meine Familie gekauft.',
    'Die alte Stadt liegt am Ufer des Flusses und wird jedes Jahr von vielen Menschen besucht.',
    'Kinder lesen an langen Winterabenden gerne Geschichten, bevor sie schlafen gehen.',
  ],
  en: [
    'This morning I went to the market and bought bread and fruit for my family.',
    'The old town lies on the bank of the river and is visited by many people every year.',
    'Children love to read stories before they go to sleep on long winter evenings.',
  ],
  es: [
    'Esta mañana fui al mercado y compré pan y fruta para mi familia.',
    'La ciudad antigua está a la orilla del río y muchas personas la visitan cada año.',
    'A los niños les encanta leer cuentos antes de dormir en las largas noches de invierno.',
  ],
  fa: [
    'امروز صبح به بازار رفتم و برای خانواده‌ام نان و میوه خریدم.',
    'شهر قدیمی در کنار رودخانه قرار دارد و هر سال مردم زیادی از آن دیدن می‌کنند.',
    'کودکان دوست دارند در شب‌های بلند زمستان پیش از خواب داستان بخوانند.',
  ],
  fi: [
    'Tänä aamuna kävin torilla ja ostin leipää ja hedelmiä perheelleni.',
    'Vanha kaupunki sijaitsee joen rannalla, ja monet ihmiset käyvät siellä joka vuosi.',
    'Lapset lukevat mielellään tarinoita ennen nukkumaanmenoa pitkinä talvi-iltoina.',
  ],
  fr: [
    'Ce matin, je suis allé au marché et j’ai acheté du pain et des fruits pour ma famille.',
    'La vieille ville se trouve au bord de la rivière et beaucoup de gens la visitent chaque année.',
    'Les enfants aiment lire des histoires avant de dormir pendant les longues soirées d’hiver.',
  ],
  gu: [
    'આજે સવારે હું બજારમાં ગયો અને મારા પરિવાર માટે રોટલી અને ફળ ખરીદ્યાં.',
    'જૂનું શહેર નદીના કિનારે આવેલું છે અને દર વર્ષે ઘણા લોકો તેની મુલાકાત લે છે.',
    'શિયાળાની લાંબી રાતોમાં બાળકોને સૂતા પહેલાં વાર્તાઓ વાંચવી ગમે છે.',
  ],
  he: [
    'הבוקר הלכתי לשוק וקניתי לחם ופירות בשביל המשפחה שלי.',
    'העיר העתיקה נמצאת על גדת הנהר ואנשים רבים מבקרים בה בכל שנה.',
    'ילדים אוהבים לקרוא סיפורים לפני השינה בערבי החורף הארוכים.',
  ],
  hi: [
    'आज सुबह मैं बाज़ार गया और अपने परिवार के लिए रोटी और फल खरीदे।',
    'पुराना शहर नदी के किनारे बसा है और हर साल बहुत से लोग उसे देखने आते हैं।',
    'सर्दियों की लंबी रातों में बच्चों को सोने से पहले कहानियाँ पढ़ना अच्छा लगता है।',
  ],
  it: [
    'Questa mattina sono andato al mercato e ho comprato pane e frutta per la mia famiglia.',
    'La città vecchia si trova sulla riva del fiume e molte persone la visitano ogni anno.',
    'Ai bambini piace leggere le storie prima di dormire nelle lunghe sere d’inverno.',
  ],
  ja: [
    '今朝、私は市場へ行って、家族のためにパンと果物を買いました。',
    '古い町は川のほとりにあり、毎年たくさんの人が訪れます。',
    '子どもたちは長い冬の夜、寝る前に物語を読むのが大好きです。',
  ],
  kn: [
    'ಇಂದು ಬೆಳಿಗ್ಗೆ ನಾನು ಮಾರುಕಟ್ಟೆಗೆ ಹೋಗಿ ನನ್ನ ಕುಟುಂಬಕ್ಕಾಗಿ ಬ್ರೆಡ್ ಮತ್ತು ಹಣ್ಣುಗಳನ್ನು ಖರೀದಿಸಿದೆ.',
    'ಹಳೆಯ ನಗರವು ನದಿಯ ದಡದಲ್ಲಿದೆ ಮತ್ತು ಪ್ರತಿ ವರ್ಷ ಅನೇಕ ಜನರು ಅಲ್ಲಿಗೆ ಭೇಟಿ ನೀಡುತ್ತಾರೆ.',
    'ಚಳಿಗಾಲದ ದೀರ್ಘ ರಾತ್ರಿಗಳಲ್ಲಿ ಮಕ್ಕಳು ಮಲಗುವ ಮೊದಲು ಕಥೆಗಳನ್ನು ಓದಲು ಇಷ್ಟಪಡುತ್ತಾರೆ.',
  ],
  ko: [
    '오늘 아침에 나는 시장에 가서 가족을 위해 빵과 과일을 샀습니다.',
    '오래된 도시는 강가에 있으며 해마다 많은 사람들이 찾아옵니다.',
    '아이들은 긴 겨울밤에 잠들기 전에 이야기를 읽는 것을 좋아합니다.',
  ],
  ml: [
    'ഇന്ന് രാവിലെ ഞാൻ ചന്തയിൽ പോയി എന്റെ കുടുംബത്തിനായി റൊട്ടിയും പഴങ്ങളും വാങ്ങി.',
    'പഴയ നഗരം നദിയുടെ തീരത്താണ്, എല്ലാ വർഷവും ധാരാളം ആളുകൾ അവിടെ സന്ദർശിക്കുന്നു.',
    'നീണ്ട ശീതകാല രാത്രികളിൽ ഉറങ്ങുന്നതിനു മുമ്പ് കഥകൾ വായിക്കാൻ കുട്ടികൾക്ക് ഇഷ്ടമാണ്.',
  ],
  mr: [
    'आज सकाळी मी बाजारात गेलो आणि माझ्या कुटुंबासाठी भाकरी आणि फळे विकत घेतली.',
    'जुने शहर नदीच्या काठावर वसलेले आहे आणि दरवर्षी अनेक लोक तिथे भेट देतात.',
    'हिवाळ्याच्या लांब रात्री झोपण्यापूर्वी मुलांना गोष्टी वाचायला आवडतात.',
  ],
  ne: [
    'आज बिहान म बजार गएँ र मेरो परिवारका लागि रोटी र फलफूल किनेँ।',
    'पुरानो सहर नदीको किनारमा छ र हरेक वर्ष धेरै मानिसहरू त्यहाँ घुम्न जान्छन्।',
    'जाडोका लामा रातहरूमा बालबालिकाहरू सुत्नुअघि कथा पढ्न मन पराउँछन्।',
  ],
  pa: [
    'ਅੱਜ ਸਵੇਰੇ ਮੈਂ ਬਾਜ਼ਾਰ ਗਿਆ ਅਤੇ ਆਪਣੇ ਪਰਿਵਾਰ ਲਈ ਰੋਟੀ ਅਤੇ ਫਲ ਖਰੀਦੇ।',
    'ਪੁਰਾਣਾ ਸ਼ਹਿਰ ਨਦੀ ਦੇ ਕੰਢੇ ਵਸਿਆ ਹੈ ਅਤੇ ਹਰ ਸਾਲ ਬਹੁਤ ਸਾਰੇ ਲੋਕ ਇਸਨੂੰ ਦੇਖਣ ਆਉਂਦੇ ਹਨ।',
    'ਸਰਦੀਆਂ ਦੀਆਂ ਲੰਬੀਆਂ ਰਾਤਾਂ ਵਿੱਚ ਬੱਚਿਆਂ ਨੂੰ ਸੌਣ ਤੋਂ ਪਹਿਲਾਂ ਕਹਾਣੀਆਂ ਪੜ੍ਹਨਾ ਚੰਗਾ ਲੱਗਦਾ ਹੈ।',
  ],
  pl: [
    'Dziś rano poszedłem na targ i kupiłem chleb oraz owoce dla mojej rodziny.',
    'Stare miasto leży nad brzegiem rzeki i każdego roku odwiedza je wielu ludzi.',
    'Dzieci lubią czytać opowieści przed snem w długie zimowe wieczory.',
  ],
  pt: [
    'Esta manhã fui ao mercado e comprei pão e frutas para a minha família.',
    'A cidade velha fica à beira do rio e muitas pessoas a visitam todos os anos.',
    'As crianças gostam de ler histórias antes de dormir nas longas noites de inverno.',
  ],
  ru: [
    'Сегодня утром я пошёл на рынок и купил хлеб и фрукты для своей семьи.',
    'Старый город стоит на берегу реки, и каждый год его посещает много людей.',
    'Дети любят читать сказки перед сном долгими зимними вечерами.',
  ],
  sw: [
    'Leo asubuhi nilienda sokoni na kununua mkate na matunda kwa ajili ya familia yangu.',
    'Mji wa kale uko kando ya mto na watu wengi huutembelea kila mwaka.',
    'Watoto wanapenda kusoma hadithi kabla ya kulala wakati wa usiku mrefu wa baridi.',
  ],
  ta: [
    'இன்று காலை நான் சந்தைக்குச் சென்று என் குடும்பத்திற்கு ரொட்டியும் பழங்களும் வாங்கினேன்.',
    'பழைய நகரம் ஆற்றின் கரையில் அமைந்துள்ளது, ஒவ்வொரு ஆண்டும் பலர் அங்கு வருகிறார்கள்.',
    'நீண்ட குளிர்கால இரவுகளில் தூங்குவதற்கு முன் கதைகள் படிக்கக் குழந்தைகள் விரும்புகிறார்கள்.',
  ],
  te: [
    'ఈ ఉదయం నేను మార్కెట్‌కు వెళ్లి నా కుటుంబం కోసం రొట్టె మరియు పండ్లు కొన్నాను.',
    'పాత నగరం నది ఒడ్డున ఉంది మరియు ప్రతి సంవత్సరం చాలా మంది ప్రజలు దానిని సందర్శిస్తారు.',
    'పొడవైన శీతాకాలపు రాత్రులలో పిల్లలు నిద్రపోయే ముందు కథలు చదవడానికి ఇష్టపడతారు.',
  ],
  th: [
    'เช้านี้ฉันไปตลาดและซื้อขนมปังกับผลไม้ให้ครอบครัวของฉัน',
    'เมืองเก่าตั้งอยู่ริมแม่น้ำและมีผู้คนมากมายมาเยี่ยมชมทุกปี',
    'เด็ก ๆ ชอบอ่านนิทานก่อนนอนในคืนฤดูหนาวอันยาวนาน',
  ],
  uk: [
    'Сьогодні вранці я пішов на ринок і купив хліб та фрукти для своєї родини.',
    'Старе місто стоїть на березі річки, і щороку його відвідує багато людей.',
    'Діти люблять читати казки перед сном довгими зимовими вечорами.',
  ],
  ur: [
    'آج صبح میں بازار گیا اور اپنے خاندان کے لیے روٹی اور پھل خریدے۔',
    'پرانا شہر دریا کے کنارے آباد ہے اور ہر سال بہت سے لوگ اسے دیکھنے آتے ہیں۔',
    'سردیوں کی لمبی راتوں میں بچوں کو سونے سے پہلے کہانیاں پڑھنا اچھا لگتا ہے۔',
  ],
  vi: [
    'Sáng nay tôi đi chợ và mua bánh mì cùng trái cây cho gia đình tôi.',
    'Thành phố cổ nằm bên bờ sông và có rất nhiều người đến thăm mỗi năm.',
    'Trẻ em thích đọc truyện trước khi đi ngủ vào những đêm mùa đông dài.',
  ],
};
